// SPDX-License-Identifier: BSD-3-Clause
//
// The burst engine against the scalar reference (pns/mppe): the same results, octets and states,
// for every set of kernels that this CPU has. Vectors are those of mppe_test.cpp.
#include "dataplane/mppe/mppe_engine.hpp"

#include <pthread.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>

#include "dataplane/mppe/kernel_choice.hpp"
#include "dataplane/mppe/key_chain.hpp"
#include "pns/crypto/mppe_keys.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/mppe/rc4.hpp"
#include "tests/support/octets.hpp"
#include "tests/unit/mppe/foreign_vectors.hpp"

using namespace pns;
using dataplane::KeyChain;
using dataplane::MppeEngine;
using dataplane::MppeGapRule;
using dataplane::MppeJob;
using dataplane::MppeKernels;
using dataplane::MppeVariant;
using dataplane::MppeWork;
using dataplane::Rc4Form;
using mppe::DirectionState;
using mppe::Mode;
using test::hex;
using test::Octets;
using test::octets;

namespace {

struct KernelSet {
  std::string name;
  MppeKernels kernels;
};

// Every variant with every form of RC4. The best variant also has forms that differ by the number
// of streams, and what the start of the dataplane would choose.
std::vector<KernelSet> kernel_sets() {
  std::vector<KernelSet> all;
  for (const auto variant : {MppeVariant::kPortable, MppeVariant::kAvx2, MppeVariant::kAvx512}) {
    if (!dataplane::has_variant(variant)) continue;
    for (const auto form : {Rc4Form::kBytes, Rc4Form::kWords})
      all.push_back({std::string(name_of(variant)) + "-" + name_of(form),
                     dataplane::kernels_of(variant, form)});
  }
  const auto best = dataplane::best_variant();
  KernelSet mixed{"mixed", dataplane::kernels_of(best, Rc4Form::kBytes)};
  MppeKernels& kernels = mixed.kernels;
  const auto words = dataplane::kernels_of(best, Rc4Form::kWords).rc4;
  for (unsigned n = 0; n < kernels.lanes; n += 2) {
    kernels.rc4.set_keys[n] = words.set_keys[n];
    kernels.rc4.change_keys[n] = words.change_keys[n];
  }
  for (unsigned n = 1; n < kernels.lanes; n += 2) kernels.rc4.generate[n] = words.generate[n];
  for (unsigned n = 0; n < kernels.lanes; n += 3)
    kernels.rc4.generate_few[n] = words.generate_few[n];
  for (unsigned n = 0; n < kernels.running_lanes; n += 2) kernels.rc4.go_on[n] = words.go_on[n];
  kernels.lanes = 4;
  kernels.few_octets = 0;
  kernels.one_is_slow = false;
  all.push_back(mixed);
  all.push_back({"measured", dataplane::measured_choice(best).kernels});
  return all;
}

std::unique_ptr<MppeEngine> make_engine(const KernelSet& set) {
  return std::make_unique<MppeEngine>(set.kernels);
}

DirectionState make(std::string_view start, unsigned bits, Mode mode) {
  const Octets key = octets(start);
  DirectionState state;
  mppe::init(state, std::span<const std::byte, 16>(key.data(), 16), bits, mode);
  return state;
}
constexpr std::string_view kStart = "8B7CDC149B993A1B A118CB153F56DCCB";

bool same(const DirectionState& a, const DirectionState& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  void fill(MutableBytes octets_to_fill) {
    for (std::byte& octet : octets_to_fill) octet = static_cast<std::byte>(random_());
  }

 private:
  std::mt19937_64 random_;
};

// An inner frame of `size` octets: mostly IPv4 with a right checksum, sometimes one that is taken
// only when no count is missing, sometimes nothing that MPPE may carry.
Octets inner_frame(Dice& dice, std::size_t size) {
  Octets frame(size);
  dice.fill(frame);
  const Octets head =
      octets(dice.one_in(4) ? "21 4500 0000 0000 0000 4011 0000 0a400002 0a000009"
                            : "0021 4500 0000 0000 0000 4011 0000 0a400002 0a000009");
  if (dice.one_in(12) || size < head.size()) return frame;
  std::copy(head.begin(), head.end(), frame.begin());
  const std::size_t ip = head.size() - 20;
  const std::size_t total = size - ip;
  frame[ip + 2] = static_cast<std::byte>(total >> 8);
  frame[ip + 3] = static_cast<std::byte>(total);
  std::uint32_t sum = 0;
  for (std::size_t at = ip; at < ip + 20; at += 2)
    sum += std::to_integer<unsigned>(frame[at]) << 8 | std::to_integer<unsigned>(frame[at + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  frame[ip + 10] = static_cast<std::byte>(sum >> 8);
  frame[ip + 11] = static_cast<std::byte>(sum);
  if (dice.one_in(12)) frame[ip + 10] ^= std::byte{1};
  return frame;
}

std::size_t any_size(Dice& dice) {
  switch (dice.below(8)) {
    case 0:
      return 1 + dice.below(40);
    case 1:
      return 1400;
    case 2:
      return 1590 + dice.below(40);  // around MppeEngine::kMaxOctets
    default:
      return 1 + dice.below(1500);
  }
}

// One direction: the peer that seals, and the state under test twice.
struct Direction {
  DirectionState peer;
  DirectionState scalar;
  DirectionState burst;
  MppeWork work;
  Octets last;  // the packet before, for duplicates
};

Octets sealed(DirectionState& state, const Octets& inner) {
  Octets frame(inner.size() + mppe::kHeaderSize);
  std::copy(inner.begin(), inner.end(), frame.begin() + mppe::kHeaderSize);
  (void)mppe::seal(state, frame);
  return frame;
}

// A packet as it may arrive: lost ones before it, late, twice, forged, cut.
Octets received(Dice& dice, Direction& direction, unsigned harm) {
  if (dice.one_in(harm)) {
    const std::size_t lost = dice.one_in(3) ? dice.below(200) : dice.below(4);
    for (std::size_t n = 0; n < lost; ++n) (void)sealed(direction.peer, octets("00214500"));
  }
  if (dice.one_in(4 * harm)) mppe::request_flush(direction.peer);
  if (dice.one_in(harm) && !direction.last.empty()) return direction.last;
  if (dice.one_in(harm)) {  // forged, about where the count is
    Octets packet(3 + dice.below(200));
    dice.fill(packet);
    const auto count = static_cast<unsigned>(direction.peer.coherency + dice.below(5) - 1);
    packet[0] = static_cast<std::byte>((dice.one_in(3) ? 0x10 : 0x90) | (count >> 8 & 0xf));
    packet[1] = static_cast<std::byte>(count);
    return packet;
  }
  Octets packet = sealed(direction.peer, inner_frame(dice, any_size(dice)));
  direction.last = packet;
  if (dice.one_in(harm)) packet[0] ^= static_cast<std::byte>(1U << dice.below(8));
  if (dice.one_in(harm)) packet.back() ^= std::byte{1};
  if (dice.one_in(harm)) packet.resize(dice.below(8));
  return packet;
}

// Stateless gaps shorter than a burst may arise within it, when packets do not open; the engine
// has made their keys already and does not ask.
bool pays(void*, const MppeJob& job, std::uint32_t steps) noexcept {
  return (job.state->mode == Mode::kStateless && steps < MppeEngine::kMaxJobs) ||
         (std::to_integer<unsigned>(job.packet[1]) & 3) != 0;
}

// mppe::open and mppe::seal one after the other, with the same rule.
void run_scalar(std::vector<MppeJob>& jobs, bool with_rule) {
  for (MppeJob& job : jobs) {
    if (job.work == MppeWork::kSeal) {
      job.result = mppe::seal(*job.state, job.packet);
      continue;
    }
    const unsigned ahead =
        job.packet.size() <= mppe::kHeaderSize ? 0 : mppe::counts_ahead(*job.state, job.packet);
    const std::uint32_t steps =
        ahead >= mppe::kHalfCountSpace ? 0 : mppe::extra_key_changes(*job.state, job.packet, ahead);
    if (with_rule && steps != 0 && !pays(nullptr, job, steps))
      job.result = std::unexpected(DropReason::mppe_gap);
    else
      job.result = mppe::open(*job.state, job.packet);
  }
}

struct Setting {
  std::size_t directions;
  std::size_t most_jobs;
  unsigned harm;  // one packet in so many, for each kind of it
  bool with_rule;
};

unsigned differential(const KernelSet& set, const Setting& setting, std::uint64_t seed,
                      unsigned bursts) {
  Dice dice(seed);
  const auto engine = make_engine(set);
  std::vector<Direction> directions(setting.directions);
  for (std::size_t n = 0; n < directions.size(); ++n) {
    Direction& direction = directions[n];
    std::array<std::byte, 16> key;
    dice.fill(key);
    const unsigned bits = dice.one_in(2) ? 128 : dice.one_in(2) ? 56 : 40;
    const Mode mode = dice.one_in(20)  ? Mode::kOff
                      : dice.one_in(3) ? Mode::kStateful
                                       : Mode::kStateless;
    mppe::init(direction.peer, key, bits, mode);
    // Now and then near the end of the count, or of a stateful key.
    const std::size_t start = dice.one_in(2) ? 4096 - dice.below(40) : dice.below(300);
    for (std::size_t count = 0; count < start && mode != Mode::kOff; ++count)
      (void)sealed(direction.peer, octets("00214500"));
    direction.scalar = direction.burst = direction.peer;
    direction.work = dice.one_in(2) ? MppeWork::kOpen : MppeWork::kSeal;
  }
  unsigned good = 0;
  for (unsigned burst = 0; burst < bursts; ++burst) {
    const std::size_t count = 1 + dice.below(setting.most_jobs);
    std::vector<Octets> scalar_octets(count);
    std::vector<std::size_t> which(count);
    for (std::size_t n = 0; n < count; ++n) {
      Direction& direction = directions[which[n] = dice.below(directions.size())];
      if (direction.work == MppeWork::kOpen && direction.peer.mode != Mode::kOff) {
        scalar_octets[n] = received(dice, direction, setting.harm);
      } else {
        scalar_octets[n] = Octets(dice.one_in(30) ? dice.below(3) : 2 + any_size(dice));
        dice.fill(scalar_octets[n]);
      }
      if (direction.work == MppeWork::kSeal && dice.one_in(200)) {
        mppe::request_flush(direction.scalar);
        mppe::request_flush(direction.burst);
      }
    }
    auto burst_octets = scalar_octets;
    std::vector<MppeJob> scalar(count);
    std::vector<MppeJob> fast(count);
    for (std::size_t n = 0; n < count; ++n) {
      Direction& direction = directions[which[n]];
      scalar[n] = {&direction.scalar, scalar_octets[n], direction.work};
      fast[n] = {&direction.burst, burst_octets[n], direction.work};
    }
    run_scalar(scalar, setting.with_rule);
    const MppeGapRule rule{pays, nullptr};
    engine->run(fast, setting.with_rule ? &rule : nullptr);
    for (std::size_t n = 0; n < count; ++n) {
      CAPTURE(seed, burst, n, which[n], count);
      const auto& wanted = scalar[n].result;
      const auto& got = fast[n].result;
      if (wanted.has_value() != got.has_value() || (!wanted && wanted.error() != got.error())) {
        CAPTURE(wanted ? "good" : name_of(wanted.error()), got ? "good" : name_of(got.error()));
        FAIL("another result");
      }
      if (!wanted) continue;
      ++good;
      if (!std::ranges::equal(scalar_octets[n], burst_octets[n]) || wanted->size() != got->size() ||
          got->data() - burst_octets[n].data() != wanted->data() - scalar_octets[n].data())
        FAIL("other octets");
    }
    for (const Direction& direction : directions) REQUIRE(same(direction.scalar, direction.burst));
  }
  return good;
}

}  // namespace

TEST_CASE("mppe engine: vectors of another implementation", "[mppe][rfc3078-7.1]") {
  for (const KernelSet& set : kernel_sets())
    for (const test::ForeignVector& vector : test::kForeignVectors) {
      CAPTURE(set.name, vector.bits);
      const auto engine = make_engine(set);
      auto receiver = make(kStart, vector.bits, Mode::kStateless);
      auto sender = make(kStart, vector.bits, Mode::kStateless);
      std::vector<Octets> storage;
      for (std::size_t n = 0; n < 3; ++n) {
        storage.push_back(octets(vector.packets[n]));
        storage.push_back(octets(std::string("0000") + test::kForeignClear[n]));
      }
      std::vector<MppeJob> jobs;
      for (std::size_t n = 0; n < 6; n += 2) {
        jobs.push_back({&receiver, storage[n], MppeWork::kOpen});
        jobs.push_back({&sender, storage[n + 1], MppeWork::kSeal});
      }
      engine->run(jobs);
      for (std::size_t n = 0; n < 3; ++n) {
        REQUIRE(jobs[2 * n].result);
        CHECK(hex(*jobs[2 * n].result) == test::kForeignClear[n]);
        REQUIRE(jobs[2 * n + 1].result);
        CHECK(hex(*jobs[2 * n + 1].result) == vector.packets[n]);
      }
    }
}

TEST_CASE("mppe engine: RFC 3079 §3.5 messages", "[mppe][rfc3079-3.5]") {
  struct Sample {
    unsigned bits;
    const char* message;
  };
  for (const KernelSet& set : kernel_sets())
    for (const Sample& sample :
         {Sample{40, "1000929137917e5803d668d75898"}, Sample{56, "10003f106833fa448da842bc57b8"},
          Sample{128, "100081848317df68846272fb5abe"}}) {
      CAPTURE(set.name, sample.bits);
      auto state = make(kStart, sample.bits, Mode::kStateful);
      Octets message = octets("0000 74657374206d657373616765");  // "test message"
      std::vector<MppeJob> jobs{{&state, message, MppeWork::kSeal}};
      make_engine(set)->run(jobs);
      REQUIRE(jobs[0].result);
      CHECK(hex(*jobs[0].result) == sample.message);
    }
}

TEST_CASE("mppe engine: interim keys of every kind of SHA-1", "[mppe][rfc3079-3.4]") {
  for (const auto variant : {MppeVariant::kPortable, MppeVariant::kAvx2, MppeVariant::kAvx512}) {
    if (!dataplane::has_variant(variant)) continue;
    // Those of the variant alone too: another takes their place where the CPU has SHA instructions.
    const auto own = variant == MppeVariant::kPortable
                         ? dataplane::portable_kernels(Rc4Form::kBytes)
                     : variant == MppeVariant::kAvx2 ? dataplane::avx2_kernels(Rc4Form::kBytes)
                                                     : dataplane::avx512_kernels(Rc4Form::kBytes);
    const auto chosen = dataplane::kernels_of(variant);
    Dice dice(5);
    for (const auto make_keys :
         {own.new_keys, own.few_new_keys, chosen.new_keys, chosen.few_new_keys})
      for (const unsigned size : {16U, 8U})
        for (unsigned count = 1; count <= 20; ++count) {
          std::vector<std::array<std::byte, 16>> start(count);
          std::vector<std::array<std::byte, 16>> session(count);
          std::vector<std::array<std::byte, 16>> wanted(count);
          std::vector<dataplane::NewKey> keys(count);
          for (unsigned n = 0; n < count; ++n) {
            dice.fill(start[n]);
            dice.fill(session[n]);
            crypto::get_new_key_from_sha(start[n], session[n], size, wanted[n]);
            if (size == 8) std::copy_n(wanted[n].begin(), 8, wanted[n].begin() + 8);
            keys[n] = {start[n].data(), session[n].data(), session[n].data()};
          }
          make_keys(keys.data(), count, size);
          CAPTURE(name_of(variant), size, count);
          REQUIRE(session == wanted);
        }
  }
}

namespace {

// Streams as the kernels of RC4 see them, and the reference beside them.
struct Streams {
  alignas(256) std::uint8_t tables[dataplane::kMaxRc4Lanes][256];
  std::byte keys[dataplane::kMaxRc4Lanes][16];
  std::byte out[dataplane::kMaxRc4Lanes][dataplane::kStreamStride];
  mppe::Rc4 reference[dataplane::kMaxRc4Lanes];

  explicit Streams(Dice& dice) {
    dice.fill(std::as_writable_bytes(std::span(tables)));
    dice.fill(std::as_writable_bytes(std::span(keys)));
    for (unsigned lane = 0; lane < dataplane::kMaxRc4Lanes; ++lane)
      reference[lane].set_key(keys[lane]);
  }
  [[nodiscard]] bool tables_agree(unsigned lanes) const {
    for (unsigned lane = 0; lane < lanes; ++lane)
      if (std::memcmp(tables[lane], reference[lane].s.data(), 256) != 0) return false;
    return true;
  }
  // The next octets of the reference are those of `out`.
  [[nodiscard]] bool streams_agree(unsigned lanes, std::size_t octets) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      std::vector<std::byte> wanted(octets);
      reference[lane].apply(wanted);
      if (!std::ranges::equal(wanted, std::span(out[lane]).first(octets))) return false;
    }
    return true;
  }
};

}  // namespace

TEST_CASE("mppe engine: RC4 of every form and number of streams", "[mppe]") {
  for (const KernelSet& set : kernel_sets()) {
    const auto& rc4 = set.kernels.rc4;
    dataplane::StackLow low = dataplane::kCleanStack;
    const auto note = [&low](dataplane::StackLow here) { low = std::min(low, here); };
    Dice dice(13);
    for (unsigned lanes = 1; lanes <= set.kernels.lanes; ++lanes)
      for (unsigned round = 0; round < 40; ++round) {
        CAPTURE(set.name, lanes, round);
        auto streams = std::make_unique<Streams>(dice);
        note(rc4.set_keys[lanes - 1](streams->tables[0], streams->keys[0]));
        REQUIRE(streams->tables_agree(lanes));
        // Pieces of every number of blocks, so that i passes 256 in all places.
        std::uint8_t j[dataplane::kMaxRc4Lanes] = {};
        std::size_t at = 0;
        for (unsigned piece = 0; piece < 6; ++piece) {
          const std::size_t blocks = 1 + dice.below(piece == 0 ? 40 : 20);
          const bool goes_on = piece != 5;
          const auto& generate = blocks == 1                       ? rc4.generate_one
                                 : blocks <= dataplane::kFewBlocks ? rc4.generate_few
                                                                   : rc4.generate;
          note(generate[lanes - 1](streams->tables[0], j, streams->out[0], blocks, at, goes_on));
          at += 16 * blocks;
          REQUIRE(streams->streams_agree(lanes, 16 * blocks));
          for (unsigned lane = 0; lane < lanes; ++lane)
            REQUIRE(j[lane] == streams->reference[lane].j);
          if (goes_on) REQUIRE(streams->tables_agree(lanes));
        }
        streams = std::make_unique<Streams>(dice);
        std::byte keys[dataplane::kMaxRc4Lanes][16];
        std::memcpy(keys, streams->keys, sizeof(keys));
        note(rc4.change_keys[lanes - 1](streams->tables[0], keys[0]));
        for (unsigned lane = 0; lane < lanes; ++lane) {
          streams->reference[lane].apply(streams->keys[lane]);
          REQUIRE(std::ranges::equal(keys[lane], streams->keys[lane]));
        }
      }
    for (unsigned lanes = 1; lanes <= set.kernels.running_lanes; ++lanes) {
      auto streams = std::make_unique<Streams>(dice);
      dataplane::RunningIndices at{};
      for (unsigned lane = 0; lane < lanes; ++lane) {
        std::vector<std::byte> before(dice.below(256));
        streams->reference[lane].apply(before);
        std::memcpy(streams->tables[lane], streams->reference[lane].s.data(), 256);
        at.i[lane] = streams->reference[lane].i;
        at.j[lane] = streams->reference[lane].j;
      }
      for (std::size_t octets = 1; octets <= 600; ++octets) {
        CAPTURE(set.name, lanes, octets);
        note(rc4.go_on[lanes - 1](streams->tables[0], &at, streams->out[0], octets));
        REQUIRE(streams->streams_agree(lanes, octets));
        REQUIRE(streams->tables_agree(lanes));
        for (unsigned lane = 0; lane < lanes; ++lane) {
          REQUIRE(at.i[lane] == streams->reference[lane].i);
          REQUIRE(at.j[lane] == streams->reference[lane].j);
        }
      }
    }
    set.kernels.clear_stack(low);
  }
}

TEST_CASE("mppe engine: key changes in a row", "[mppe][rfc3078-7.3]") {
  for (const KernelSet& set : kernel_sets()) {
    const auto& kernels = set.kernels;
    Dice dice(11);
    for (const unsigned bits : {40U, 56U, 128U})
      for (unsigned count = 0; count <= 13; ++count)
        for (const unsigned steps : {0U, 1U, 2U, 64U}) {
          std::vector<DirectionState> states(count);
          for (DirectionState& state : states) {
            std::array<std::byte, 16> key;
            dice.fill(key);
            mppe::init(state, key, bits, Mode::kStateless);
          }
          auto wanted = states;
          for (DirectionState& state : wanted)
            for (unsigned step = 0; step < steps; ++step)
              mppe::change_key(state.start_key, state.session_key, bits);
          std::vector<dataplane::KeyChain> chains;
          for (DirectionState& state : states)
            chains.push_back({state.start_key.data(), state.session_key.data()});
          if (count == 1)
            dataplane::step_chain(kernels, chains[0], bits, steps);
          else
            dataplane::step_chains(kernels, chains, bits, steps);
          CAPTURE(set.name, bits, count, steps);
          for (unsigned n = 0; n < count; ++n) REQUIRE(same(states[n], wanted[n]));
        }
  }
}

TEST_CASE("mppe engine: every length, every number of lanes", "[mppe]") {
  for (const KernelSet& set : kernel_sets()) {
    const auto engine = make_engine(set);
    for (const Mode mode : {Mode::kStateless, Mode::kStateful}) {
      Dice dice(7);
      std::array<DirectionState, 13> burst;
      for (std::size_t n = 0; n < burst.size(); ++n)
        burst[n] = make(kStart, n % 3 == 0 ? 40 : 128, mode);
      auto scalar = burst;
      for (std::size_t size = 1; size <= 1500; ++size) {
        const std::size_t lanes = 1 + size % burst.size();
        std::vector<Octets> frames(lanes, Octets(size + 2));
        for (Octets& frame : frames) dice.fill(frame);
        auto expected = frames;
        std::vector<MppeJob> jobs(lanes);
        for (std::size_t n = 0; n < lanes; ++n) {
          jobs[n] = {&burst[n], frames[n], MppeWork::kSeal};
          REQUIRE(mppe::seal(scalar[n], expected[n]));
        }
        engine->run(jobs);
        CAPTURE(set.name, size, lanes);
        REQUIRE(frames == expected);
      }
      for (std::size_t n = 0; n < burst.size(); ++n) CHECK(same(burst[n], scalar[n]));
    }
  }
}

TEST_CASE("mppe engine: what comes without harm", "[mppe]") {
  for (const KernelSet& set : kernel_sets())
    for (const Setting& setting : {Setting{1, 64, 1000000, false}, Setting{3, 64, 1000000, false},
                                   Setting{40, 64, 1000000, true}, Setting{40, 1, 1000000, true}})
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(set.name, setting.directions);
        differential(set, setting, seed, 40);
      }
}

TEST_CASE("mppe engine: gaps, flushes, late, doubled and forged packets",
          "[mppe][conformance-51]") {
  for (const KernelSet& set : kernel_sets()) {
    unsigned good = 0;
    for (const Setting& setting :
         {Setting{1, 64, 8, false}, Setting{1, 64, 30, true}, Setting{2, 20, 10, true},
          Setting{8, 64, 20, false}, Setting{40, 64, 40, true}, Setting{64, 64, 10, false},
          Setting{6, 1, 10, true}})
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(set.name, setting.directions, setting.most_jobs, setting.harm);
        good += differential(set, setting, seed, setting.most_jobs == 1 ? 400 : 30);
      }
    CHECK(good > 5000);
  }
}

TEST_CASE("mppe engine: a forged packet among those of its session", "[mppe][conformance-51]") {
  for (const KernelSet& set : kernel_sets()) {
    const auto engine = make_engine(set);
    auto sender = make(kStart, 128, Mode::kStateless);
    auto receiver = make(kStart, 128, Mode::kStateless);
    Dice dice(3);
    std::vector<Octets> packets;
    std::vector<Octets> clear;
    for (unsigned n = 0; n < 6; ++n) {
      Octets inner =
          octets("0021 4500 001c 0000 0000 4011 6687 0a400002 0a000009 7061636b65742030");
      clear.push_back(inner);
      packets.push_back(sealed(sender, inner));
    }
    const Octets header(packets[1].begin(), packets[1].begin() + 2);
    dice.fill(packets[1]);
    std::copy(header.begin(), header.end(), packets[1].begin());
    std::vector<MppeJob> jobs;
    for (Octets& packet : packets) jobs.push_back({&receiver, packet, MppeWork::kOpen});
    const MppeGapRule never{[](void*, const MppeJob&, std::uint32_t) noexcept { return false; },
                            nullptr};
    engine->run(jobs, &never);
    CAPTURE(set.name);
    for (std::size_t n = 0; n < jobs.size(); ++n) {
      if (n == 1) {
        REQUIRE_FALSE(jobs[n].result);
        CHECK(jobs[n].result.error() == DropReason::mppe_garbage);
        continue;
      }
      REQUIRE(jobs[n].result);
      CHECK(hex(*jobs[n].result) == hex(clear[n]));
    }
    CHECK(receiver.session_key == sender.session_key);
    CHECK(receiver.coherency == sender.coherency);
  }
}

TEST_CASE("mppe engine: the caller knows how many packets are missing, beyond 12 bits",
          "[mppe][rfc3078-8.1]") {
  for (const KernelSet& set : kernel_sets())
    for (const std::uint32_t lost : {1U, 64U, 2'047U, 2'048U, 4'095U, 4'096U, 10'000U}) {
      CAPTURE(set.name, lost);
      const auto engine = make_engine(set);
      auto sender = make(kStart, 128, Mode::kStateless);
      auto receiver = make(kStart, 128, Mode::kStateless);
      const Octets inner =
          octets("0021 4500 001c 0000 0000 4011 6687 0a400002 0a000009 7061636b65742030");
      std::vector<Octets> packets;
      for (std::uint32_t n = 0; n < lost + 5; ++n) {
        Octets packet = sealed(sender, inner);
        if (n < 2 || n >= lost + 2) packets.push_back(std::move(packet));
      }
      // Two in order, then the gap, then three more; all in one burst.
      std::vector<MppeJob> jobs;
      for (std::uint32_t n = 0; n < packets.size(); ++n)
        jobs.push_back({.state = &receiver,
                        .packet = packets[n],
                        .work = MppeWork::kOpen,
                        .ahead = n < 2 ? n : lost + n});
      engine->run(jobs);
      for (const MppeJob& job : jobs) {
        REQUIRE(job.result);
        CHECK(hex(*job.result) == hex(inner));
      }
      CHECK(receiver.session_key == sender.session_key);
      CHECK(receiver.coherency == sender.coherency);
    }
}

TEST_CASE("mppe engine: a text that is to be certain is not taken for its first octets",
          "[mppe][conformance-51]") {
  for (const KernelSet& set : kernel_sets())
    for (const Mode mode : {Mode::kStateless, Mode::kStateful})
      for (const bool certain : {false, true}) {
        CAPTURE(set.name, certain);
        const auto engine = make_engine(set);
        auto sender = make(kStart, 128, mode);
        auto receiver = make(kStart, 128, mode);
        // Protocol and version of IPv4, and nothing else that is right.
        Octets packet = sealed(sender, octets("0021 4500 ffff 0000 0000 4011 ffff 0a400002"));
        std::vector<MppeJob> jobs{
            {.state = &receiver, .packet = packet, .certain = certain, .ahead = 0}};
        engine->run(jobs);
        CHECK(jobs[0].result.has_value() == !certain);
      }
}

TEST_CASE("mppe engine: a run of key changes", "[mppe][rfc3078-7.3]") {
  for (const KernelSet& set : kernel_sets())
    for (const unsigned bits : {40U, 56U, 128U})
      for (const std::uint32_t steps : {0U, 1U, 2U, 7U, 64U, 1'000U}) {
        CAPTURE(set.name, bits, steps);
        const auto engine = make_engine(set);
        auto state = make(kStart, bits, Mode::kStateless);
        std::array<std::byte, 16> key = state.session_key;
        engine->change_keys(state.start_key, key, bits, steps);
        for (std::uint32_t n = 0; n < steps; ++n)
          mppe::change_key(state.start_key, state.session_key, bits);
        CHECK(hex(key) == hex(state.session_key));
      }
}

TEST_CASE("mppe engine: no key is left in it", "[mppe]") {
  for (const KernelSet& set : kernel_sets())
    for (const std::size_t sessions : {1, 2, 9, 40}) {
      CAPTURE(set.name, sessions);
      // Zeros, where the engine leaves memory as it was.
      alignas(MppeEngine) static std::array<std::byte, sizeof(MppeEngine)> memory;
      memory.fill(std::byte{0});
      MppeEngine* engine = new (memory.data()) MppeEngine(set.kernels);
      std::vector<DirectionState> states(sessions);
      for (std::size_t n = 0; n < sessions; ++n)
        states[n] = make(kStart, 128, n % 2 == 0 ? Mode::kStateless : Mode::kStateful);
      std::vector<Octets> frames(sessions + 1, Octets(302));
      std::vector<MppeJob> jobs(frames.size());
      for (std::size_t n = 0; n < frames.size(); ++n)
        jobs[n] = {&states[n % sessions], frames[n], MppeWork::kSeal};
      engine->run(jobs);
      // A table of RC4 holds every octet once.
      for (std::size_t at = 0; at + 256 <= memory.size(); at += 64) {
        std::array<bool, 256> seen{};
        for (const std::byte octet : Bytes(memory).subspan(at, 256))
          seen[std::to_integer<unsigned>(octet)] = true;
        CHECK(std::ranges::count(seen, true) < 256);
      }
      const auto left = [](Bytes secret) { return !std::ranges::search(memory, secret).empty(); };
      for (const auto& state : states) {
        CHECK_FALSE(left(Bytes(state.session_key).first(8)));
        if (state.mode == Mode::kStateful)
          CHECK_FALSE(left(std::as_bytes(std::span(state.rc4_s)).first(8)));
      }
      // The data was zeros: what is in the frame now is the key stream.
      for (const Octets& frame : frames) {
        CHECK_FALSE(left(Bytes(frame).subspan(20, 8)));
        CHECK_FALSE(left(Bytes(frame).last(8)));
      }
      engine->~MppeEngine();
    }
}

namespace {

// Without optimisation, and with a sanitizer, a compiler keeps the words of a key on the stack
// while they are combined.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool kKeysInRegisters = true;
#else
constexpr bool kKeysInRegisters = false;
#endif

// The stack of a thread, zeros at first, as it is when `work` has ended.
template <class F>
std::vector<std::byte> stack_after(F work) {
  static_assert(std::is_trivially_copyable_v<F*>);
  constexpr std::size_t kSize = 1 << 20;
  std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(4096, kSize), &std::free);
  std::memset(memory.get(), 0, kSize);
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstack(&attributes, memory.get(), kSize) == 0);
  pthread_t thread;
  const auto start = [](void* context) -> void* {
    (*static_cast<F*>(context))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, start, &work) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  const auto* octets = static_cast<const std::byte*>(memory.get());
  return {octets, octets + kSize};
}

// A table of RC4, of octets or words, or half of a pair of them: of 256 words in a row most are
// small, or all octets of 256 differ.
bool holds_table(std::span<const std::byte> memory) {
  for (std::size_t at = 0; at + 1024 <= memory.size(); at += 64) {
    std::array<std::uint32_t, 256> words;
    std::memcpy(words.data(), memory.data() + at, sizeof(words));
    if (std::ranges::count_if(words, [](auto word) { return word - 1 < 255; }) > 128) return true;
    std::array<bool, 256> seen{};
    for (const std::byte octet : memory.subspan(at, 256))
      seen[std::to_integer<unsigned>(octet)] = true;
    if (std::ranges::count(seen, true) > 250) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("mppe engine: no key of a lone stateful packet is left in it", "[mppe]") {
  for (const KernelSet& set : kernel_sets())
    for (const MppeWork work : {MppeWork::kSeal, MppeWork::kOpen}) {
      CAPTURE(set.name, static_cast<int>(work));
      alignas(MppeEngine) static std::array<std::byte, sizeof(MppeEngine)> memory;
      memory.fill(std::byte{0});
      MppeEngine* engine = new (memory.data()) MppeEngine(set.kernels);
      DirectionState state = make(kStart, 128, Mode::kStateful);
      const DirectionState before = state;
      DirectionState peer = state;
      Octets frame = octets("00214500");
      frame.resize(1204);
      if (work == MppeWork::kOpen) {
        frame = sealed(peer, frame);
      } else {
        frame.resize(frame.size() + mppe::kHeaderSize);
        std::ranges::fill(frame, std::byte{0});
      }
      const Octets wire = frame;
      MppeJob job{&state, frame, work};
      const auto stack = stack_after([&] { engine->run(std::span(&job, 1)); });
      REQUIRE(job.result);
      CHECK(state.coherency == 1);
      CHECK_FALSE(holds_table(stack));
      CHECK_FALSE(holds_table(memory));
      // The key stream is the data of a sealed packet of zeros, and what opening takes away.
      const auto left = [](Bytes secret) { return !std::ranges::search(memory, secret).empty(); };
      CHECK_FALSE(left(Bytes(work == MppeWork::kSeal ? frame : wire).last(8)));
      CHECK_FALSE(left(std::as_bytes(std::span(before.rc4_s)).first(8)));
      CHECK_FALSE(left(std::as_bytes(std::span(state.rc4_s)).first(8)));
      engine->~MppeEngine();
    }
}

TEST_CASE("mppe engine: no key is left on the stack", "[mppe]") {
  for (const KernelSet& set : kernel_sets())
    for (const std::size_t sessions : {1, 2, 9, 40}) {
      CAPTURE(set.name, sessions);
      const auto engine = make_engine(set);
      std::vector<DirectionState> states(sessions);
      for (std::size_t n = 0; n < sessions; ++n)
        states[n] = make(kStart, 128, n % 3 == 2 ? Mode::kStateful : Mode::kStateless);
      std::vector<Octets> frames(2 * sessions, Octets(302));
      std::vector<MppeJob> jobs(std::min(frames.size(), MppeEngine::kMaxJobs));
      for (std::size_t n = 0; n < jobs.size(); ++n)
        jobs[n] = {&states[n % sessions], frames[n], MppeWork::kSeal};
      const auto stack = stack_after([&] { engine->run(jobs); });
      CHECK_FALSE(holds_table(stack));
      if (kKeysInRegisters)
        for (const DirectionState& state : states)
          CHECK(std::ranges::search(stack, Bytes(state.session_key)).empty());

      KeyChain chain{states[0].start_key.data(), states[0].session_key.data()};
      const auto after = stack_after([&] { step_chain(set.kernels, chain, 128, 3); });
      CHECK_FALSE(holds_table(after));
      if (kKeysInRegisters) CHECK(std::ranges::search(after, Bytes(states[0].session_key)).empty());
    }
}
