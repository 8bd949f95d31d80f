// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/session_memory.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace pns::contract {
namespace {

constexpr std::size_t kPageSize = 4096;
constexpr std::size_t kHugePageSize = 2 * 1024 * 1024;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) noexcept {
  return (value + unit - 1) / unit * unit;
}
// Additions take reserved octets.
static_assert(sizeof(SessionMemoryHeader) == 90816);
constexpr std::size_t kHeaderSpan = round_up(sizeof(SessionMemoryHeader), kPageSize);
constexpr std::size_t kWorkersSpan = round_up(sizeof(WorkerCounters) * kMaxWorkers, kPageSize);

constexpr std::size_t content_size(std::uint32_t max_sessions) noexcept {
  return kHeaderSpan + kWorkersSpan +
         std::size_t{max_sessions} * (sizeof(SessionRecord) + sizeof(SessionExtension));
}

std::string system_error(const char* call) {
  return std::string(call) + ": " + std::strerror(errno);
}

// A memfd of `size` octets, populated so that huge pages are known to be there. -1 on failure.
std::expected<UniqueFd, std::string> make_memfd(std::size_t size, unsigned flags) {
  UniqueFd fd(::memfd_create("pns-sessions", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (!fd) return std::unexpected(system_error("memfd_create"));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return std::unexpected(system_error("ftruncate"));
  if (::fallocate(fd.get(), 0, 0, static_cast<off_t>(size)) != 0)
    return std::unexpected(system_error("fallocate"));
  return fd;
}

template <class T>
std::string differs(const char* what, T theirs, T ours) {
  return std::string("session memory: ") + what + " is " + std::to_string(theirs) +
         ", this program expects " + std::to_string(ours) +
         ": it cannot take over these calls; see docs/upgrade.md";
}

std::string text_of(FormatVersion version) {
  return std::to_string(version.version) + " (compatible from " +
         std::to_string(version.min_compatible) + ")";
}

std::string does_not_fit(const char* what, FormatVersion theirs, FormatVersion ours) {
  return std::string(what) + ": version is " + text_of(theirs) + ", this program has " +
         text_of(ours) + ": it cannot take over these calls; see docs/upgrade.md";
}

constexpr FormatVersion kFormat{kSessionMemoryVersion, kSessionMemoryMinCompatible};
constexpr FormatVersion kStoreFormat{kStoreVersion, kStoreMinCompatible};

void name_drop_reasons(SessionMemoryHeader& header) noexcept {
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    DropReasonName& entry = header.drop_reasons[i];
    const DropReasonInfo& info = kDropReasons[i];
    const auto direction = std::ranges::find(DropReasonName::kDirections, info.direction);
    entry.direction = static_cast<std::uint8_t>(direction - DropReasonName::kDirections.begin());
    info.name.copy(entry.name.data(), entry.name.size() - 1);
  }
}

}  // namespace

DropReasonLabel drop_reason_label(const SessionMemoryHeader& header, std::size_t reason) {
  if (reason < kDropReasonCount)
    return {std::string(kDropReasons[reason].name), kDropReasons[reason].direction};
  const DropReasonName& entry = header.drop_reasons.at(reason);
  std::string name(entry.name.data(), ::strnlen(entry.name.data(), entry.name.size()));
  const bool usable = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!usable) name = "unknown_" + std::to_string(reason);
  constexpr std::size_t kDirections = DropReasonName::kDirections.size();
  return {std::move(name), DropReasonName::kDirections[entry.direction % kDirections]};
}

bool has_drop_reason(const SessionMemoryHeader& header, std::size_t reason) noexcept {
  return reason < kDropReasonCount ||
         (reason < kDropReasonRoom && header.drop_reasons[reason].name[0] != '\0');
}

SessionMemory::SessionMemory(SessionMemory&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SessionMemory& SessionMemory::operator=(SessionMemory&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  return *this;
}

SessionMemory::~SessionMemory() {
  if (base_ != nullptr) ::munmap(base_, size_);
}

std::size_t SessionMemory::size(std::uint32_t max_sessions) noexcept {
  return round_up(content_size(max_sessions), kHugePageSize);
}

std::expected<UniqueFd, std::string> SessionMemory::create(std::uint32_t max_sessions,
                                                           bool huge_pages, std::uint64_t now_ns) {
  if (max_sessions == 0) return std::unexpected("session memory: max_sessions is 0");
  const std::size_t wanted = content_size(max_sessions);
  std::size_t size = SessionMemory::size(max_sessions);
  std::expected<UniqueFd, std::string> fd = std::unexpected(std::string());
  if (huge_pages) fd = make_memfd(size, MFD_HUGETLB | MFD_HUGE_2MB);
  if (!fd) {
    size = round_up(wanted, kPageSize);
    fd = make_memfd(size, 0);
  }
  if (!fd) return fd;

  void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
  if (base == MAP_FAILED) return std::unexpected(system_error("mmap"));
  auto* const bytes = static_cast<std::byte*>(base);
  auto* header = new (base) SessionMemoryHeader;
  header->header_size = sizeof(SessionMemoryHeader);
  header->worker_counters_size = sizeof(WorkerCounters);
  header->session_record_size = sizeof(SessionRecord);
  header->session_extension_size = sizeof(SessionExtension);
  header->format.set(kFormat);
  header->store.set(kStoreFormat);
  header->max_sessions = max_sessions;
  header->total_size = size;
  header->created_ns = now_ns;
  for (std::size_t i = 0; i < kMaxWorkers; ++i)
    new (bytes + kHeaderSpan + i * sizeof(WorkerCounters)) WorkerCounters;
  for (std::size_t i = 0; i < max_sessions; ++i)
    new (bytes + kHeaderSpan + kWorkersSpan + i * sizeof(SessionRecord)) SessionRecord;
  auto* const extensions =
      bytes + kHeaderSpan + kWorkersSpan + std::size_t{max_sessions} * sizeof(SessionRecord);
  for (std::size_t i = 0; i < max_sessions; ++i)
    new (extensions + i * sizeof(SessionExtension)) SessionExtension;
  ::munmap(base, size);

  if (::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return std::unexpected(system_error("F_ADD_SEALS"));
  return fd;
}

std::expected<SessionMemory, std::string> SessionMemory::attach(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return std::unexpected(system_error("fstat"));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < kHeaderSpan + kWorkersSpan)
    return std::unexpected(differs("size", size, kHeaderSpan + kWorkersSpan));

  SessionMemory memory;
  void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (base == MAP_FAILED) return std::unexpected(system_error("mmap"));
  memory.base_ = base;
  memory.size_ = size;
  // Keys lie here: keep them out of core files and of children.
  (void)::madvise(base, size, MADV_DONTDUMP);
  (void)::madvise(base, size, MADV_DONTFORK);

  SessionMemoryHeader& header = memory.header();
  if (header.magic != kSessionMemoryMagic)
    return std::unexpected(differs("magic", header.magic, kSessionMemoryMagic));
  if (!fit(header.format.get(), kFormat))
    return std::unexpected(does_not_fit("session memory", header.format.get(), kFormat));
  if (!fit(header.store.get(), kStoreFormat))
    return std::unexpected(does_not_fit("resume store", header.store.get(), kStoreFormat));
  if (header.header_size != sizeof(SessionMemoryHeader))
    return std::unexpected(
        differs("header size", std::size_t{header.header_size}, sizeof(SessionMemoryHeader)));
  if (header.worker_counters_size != sizeof(WorkerCounters))
    return std::unexpected(differs("worker counters size", std::size_t{header.worker_counters_size},
                                   sizeof(WorkerCounters)));
  if (header.session_record_size != sizeof(SessionRecord))
    return std::unexpected(differs("session record size", std::size_t{header.session_record_size},
                                   sizeof(SessionRecord)));
  if (header.session_extension_size != sizeof(SessionExtension))
    return std::unexpected(differs("session extension size",
                                   std::size_t{header.session_extension_size},
                                   sizeof(SessionExtension)));
  if (header.total_size != size)
    return std::unexpected(differs("total size", std::size_t{header.total_size}, size));
  if (header.max_sessions == 0 || content_size(header.max_sessions) > size)
    return std::unexpected(differs("content size", content_size(header.max_sessions), size));
  header.format.set(together(header.format.get(), kFormat));
  header.store.set(together(header.store.get(), kStoreFormat));
  name_drop_reasons(header);
  return memory;
}

SessionMemoryHeader& SessionMemory::header() const noexcept {
  return *static_cast<SessionMemoryHeader*>(base_);
}

std::span<WorkerCounters> SessionMemory::workers() const noexcept {
  auto* const bytes = static_cast<std::byte*>(base_);
  return {reinterpret_cast<WorkerCounters*>(bytes + kHeaderSpan), kMaxWorkers};
}

std::span<SessionRecord> SessionMemory::sessions() const noexcept {
  auto* const bytes = static_cast<std::byte*>(base_);
  return {reinterpret_cast<SessionRecord*>(bytes + kHeaderSpan + kWorkersSpan),
          header().max_sessions};
}

std::span<SessionExtension> SessionMemory::extensions() const noexcept {
  const auto records = std::as_writable_bytes(sessions());
  return {reinterpret_cast<SessionExtension*>(records.data() + records.size()),
          header().max_sessions};
}

namespace {

template <class Number>
std::optional<Number> find_mark(std::span<const std::atomic<std::uint64_t>> marks,
                                std::string_view name) noexcept {
  const std::uint64_t mark = name_mark(name);
  for (std::size_t number = 1; number < marks.size(); ++number)
    if (marks[number].load(std::memory_order_relaxed) == mark) return static_cast<Number>(number);
  return std::nullopt;
}

}  // namespace

std::optional<std::uint8_t> find_filter(const SessionMemoryHeader& header,
                                        std::string_view name) noexcept {
  return find_mark<std::uint8_t>(header.filters, name);
}

std::optional<std::uint16_t> find_rate_group(const SessionMemoryHeader& header,
                                             std::string_view name) noexcept {
  return find_mark<std::uint16_t>(header.rate_groups, name);
}

}  // namespace pns::contract
