// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/doctor/checks.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

constexpr const char* kFree = "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

}  // namespace

TEST_CASE("doctor: huge pages, enough or too few for the configuration", "[doctor]") {
  FakeHost fake;
  check_ok(check_huge_pages(fake.config, fake.host));
  // 2 pages for 4,000 sessions, 256 for 512 MiB.
  fake.write(kFree, "258");
  check_ok(check_huge_pages(fake.config, fake.host));
  fake.write(kFree, "255");
  const Finding finding = only(check_huge_pages(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text,
             Catch::Contains("255 pages of 2 MiB") && Catch::Contains("258 of 2 MiB are needed"));
  CHECK(finding.remedy.run == Commands{"sysctl -w vm.nr_hugepages=323"});
}

TEST_CASE("doctor: huge pages, sessions without any are slower", "[doctor]") {
  FakeHost fake;
  fake.write(kFree, "257");
  CHECK(only(check_huge_pages(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.config.dataplane.memory.hugepages = config::HugePages::kOn;
  CHECK(only(check_huge_pages(fake.config, fake.host)).verdict == Verdict::kError);
}

TEST_CASE("doctor: huge pages, those of 1 GiB are for packets", "[doctor]") {
  FakeHost fake;
  fake.config.dataplane.memory.hugepages = config::HugePages::kOn;
  fake.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1");
  fake.write(kFree, "2");
  check_ok(check_huge_pages(fake.config, fake.host));
  fake.write(kFree, "1");
  CHECK(only(check_huge_pages(fake.config, fake.host)).remedy.run ==
        Commands{"sysctl -w vm.nr_hugepages=321"});
}

TEST_CASE("doctor: huge pages, ports that can do without", "[doctor]") {
  FakeHost fake;
  fake.use_taps();
  fake.write(kFree, "0");
  CHECK(only(check_huge_pages(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.config.dataplane.memory.hugepages = config::HugePages::kOn;
  CHECK(only(check_huge_pages(fake.config, fake.host)).verdict == Verdict::kError);
  fake.config.dataplane.memory.hugepages = config::HugePages::kOff;
  check_ok(check_huge_pages(fake.config, fake.host));
  FakeHost xdp;
  xdp.config.dataplane.memory.hugepages = config::HugePages::kOff;
  const Finding off = only(check_huge_pages(xdp.config, xdp.host));
  CHECK(off.verdict == Verdict::kError);
  CHECK(off.remedy.configure == "dataplane.memory.hugepages: auto");
}

TEST_CASE("doctor: huge pages, a server that runs has its own", "[doctor]") {
  FakeHost fake;
  fake.write(kFree, "0");
  fake.host.server.supervisor = 10;
  CHECK(only(check_huge_pages(fake.config, fake.host)).verdict == Verdict::kSkipped);
}

TEST_CASE("doctor: cpus, a core that is not online", "[doctor]") {
  FakeHost fake;
  check_ok(check_cpus(fake.config, fake.host));
  fake.config.dataplane.cores.workers = {2, 5};
  fake.write("sys/devices/system/cpu/isolated", "1-5");
  const Finding finding = only(check_cpus(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.text == "core 5 is not online");
  CHECK(finding.remedy.run == Commands{"echo 1 > /sys/devices/system/cpu/cpu5/online"});
}

TEST_CASE("doctor: cpus, isolation, governor and siblings", "[doctor]") {
  FakeHost fake;
  fake.config.dataplane.cores.workers = {1, 3};
  const Finding shared = only(check_cpus(fake.config, fake.host));
  CHECK(shared.verdict == Verdict::kWarning);
  CHECK_THAT(shared.text, Catch::EndsWith("the workers' cores 3"));
  CHECK(shared.remedy.run == Commands{"deploy/prepare-nic cores 3"});

  fake.write("sys/devices/system/cpu/isolated", "0-3");
  CHECK_THAT(with(check_cpus(fake.config, fake.host), "core 0 of the main thread").remedy.configure,
             Catch::Contains("dataplane.cores.main"));

  fake.write("sys/devices/system/cpu/isolated", "1-3");
  fake.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n");
  check_ok(check_cpus(fake.config, fake.host));
  fake.write("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n");
  CHECK(only(check_cpus(fake.config, fake.host)).remedy.run ==
        Commands{"echo performance > /sys/devices/system/cpu/cpu3/cpufreq/scaling_governor"});

  fake.remove("sys/devices/system/cpu/cpu3/cpufreq");
  fake.write("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,3\n");
  const Finding siblings = only(check_cpus(fake.config, fake.host));
  CHECK(siblings.verdict == Verdict::kWarning);
  CHECK(siblings.text == "workers share a physical core: 1 and 3");
  fake.write("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n");
  check_ok(check_cpus(fake.config, fake.host));
}

TEST_CASE("doctor: limits, of the server that runs", "[doctor]") {
  FakeHost fake;
  check_ok(check_limits(fake.config, fake.host));
  fake.host.server.supervisor = 10;
  fake.write("proc/10/limits",
             "Max open files            1024                 4096                 files     \n"
             "Max locked memory         65536                65536                bytes     \n");
  const Findings findings = check_limits(fake.config, fake.host);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].verdict == Verdict::kWarning);
  CHECK_THAT(findings[0].text, Catch::Contains("the server may have 4096 descriptors") &&
                                   Catch::Contains("needs 44096"));
  CHECK_THAT(findings[0].remedy.configure, Catch::Contains("LimitNOFILE=44096"));
  CHECK(findings[1].verdict == Verdict::kError);
  CHECK(findings[1].remedy.configure == "LimitMEMLOCK=infinity in the unit");
  fake.write("proc/10/limits",
             "Max open files            unlimited            unlimited            files     \n"
             "Max locked memory         unlimited            unlimited            bytes     \n");
  check_ok(check_limits(fake.config, fake.host));
}

TEST_CASE("doctor: limits, root raises its own, up to fs.nr_open", "[doctor]") {
  FakeHost fake;
  fake.write("proc/self/limits",
             "Max open files            1024                 4096                 files     \n");
  check_ok(check_limits(fake.config, fake.host));
  fake.write("proc/sys/fs/nr_open", "8192");
  CHECK(only(check_limits(fake.config, fake.host)).verdict == Verdict::kWarning);
}

TEST_CASE("doctor: limits, the kernel's queues of callers", "[doctor]") {
  FakeHost fake;
  fake.write("proc/sys/net/core/somaxconn", "128");
  const Finding finding = only(check_limits(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.core.somaxconn=4096"});
  fake.write("proc/sys/net/ipv4/tcp_max_syn_backlog", "2048");
  CHECK(check_limits(fake.config, fake.host).size() == 2);
}

TEST_CASE("doctor: users, that each plane has its own", "[doctor]") {
  FakeHost fake;
  check_ok(check_users(fake.config, fake.host));
  fake.host.has_dataplane_user = false;
  const Finding finding = only(check_users(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::StartsWith("no user pns-dp: "));
  CHECK(finding.remedy.run == Commands{"systemd-sysusers deploy/pns.sysusers.conf"});
}

TEST_CASE("doctor: clock, not synchronized, or before the executable's date", "[doctor]") {
  FakeHost fake;
  check_ok(check_clock(fake.config, fake.host));
  fake.host.clock.synchronized = false;
  CHECK(only(check_clock(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.host.clock.now = fake.host.clock.executable_from - 60;
  const Finding finding = only(check_clock(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::Contains("60 s before"));
  CHECK(finding.remedy.run == Commands{"timedatectl set-ntp true"});
}
