// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 1661 §4.1, transcribed from the RFC's text a second time, as text, and compared cell by cell.
#include "controlplane/ppp/automaton.hpp"

#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

using namespace pns::ppp;

namespace {

// The two halves of the table as the RFC prints them: states 0 to 5, then 6 to 9.
constexpr const char* kFirstHalf = R"(
 Up   |    2     irc,scr/6     -         -         -         -
 Down |    -         -         0       tls/1       0         1
 Open |  tls/1       1     irc,scr/6     3r        5r        5r
 Close|    0       tlf/0       2         2         4         4
 TO+  |    -         -         -         -       str/4     str/5
 TO-  |    -         -         -         -       tlf/2     tlf/3
 RCR+ |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR- |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA  |    -         -       sta/2     sta/3       4         5
 RCN  |    -         -       sta/2     sta/3       4         5
 RTR  |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA  |    -         -         2         3       tlf/2     tlf/3
 RUC  |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+ |    -         -         2         3         4         5
 RXJ- |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
 RXR  |    -         -         2         3         4         5
)";
constexpr const char* kSecondHalf = R"(
 Up   |    -         -         -           -
 Down |    1         1         1         tld/1
 Open |    6         7         8           9r
 Close|irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
 TO+  |  scr/6     scr/6     scr/8         -
 TO-  | tlf/3p    tlf/3p    tlf/3p         -
 RCR+ |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR- |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA  |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN  |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
 RTR  |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA  |    6         6         8       tld,scr/6
 RUC  |  scj/6     scj/7     scj/8       scj/9
 RXJ+ |    6         6         8           9
 RXJ- |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
 RXR  |    6         7         8         ser/9
)";

std::vector<std::vector<std::string>> rows_of(const char* text) {
  std::vector<std::vector<std::string>> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto bar = line.find('|');
    if (bar == std::string::npos) continue;
    std::istringstream cells(line.substr(bar + 1));
    out.emplace_back();
    for (std::string cell; cells >> cell;) out.back().push_back(cell);
  }
  return out;
}

std::string text_of(const Transition& t) {
  constexpr const char* kNames[] = {"",    "tlu", "tld", "tls", "tlf", "irc", "zrc",
                                    "scr", "sca", "scn", "str", "sta", "scj", "ser"};
  if (!t.legal) return "-";
  std::string out;
  for (const Action action : t.actions) {
    if (action == Action::kNone) break;
    out += (out.empty() ? "" : ",") + std::string(kNames[static_cast<std::size_t>(action)]);
  }
  if (!out.empty()) out += "/";
  out += std::to_string(static_cast<int>(t.next));
  switch (t.footnote) {
    case Footnote::kNone:
      break;
    case Footnote::kPassive:
      out += "p";
      break;
    case Footnote::kRestart:
      out += "r";
      break;
    case Footnote::kCrossed:
      out += "x";
      break;
  }
  return out;
}

}  // namespace

TEST_CASE("automaton: all 160 cells are those of the RFC", "[ppp][rfc1661-4.1]") {
  const auto first = rows_of(kFirstHalf);
  const auto second = rows_of(kSecondHalf);
  REQUIRE(first.size() == kEventCount);
  REQUIRE(second.size() == kEventCount);
  int cells = 0;
  for (std::size_t event = 0; event < kEventCount; ++event) {
    REQUIRE(first[event].size() == 6);
    REQUIRE(second[event].size() == 4);
    for (std::size_t state = 0; state < kStateCount; ++state) {
      INFO("event " << event << ", state " << name_of(static_cast<State>(state)));
      const std::string& expected = state < 6 ? first[event][state] : second[event][state - 6];
      CHECK(text_of(kAutomaton[event][state]) == expected);
      ++cells;
    }
  }
  CHECK(cells == 160);
}

TEST_CASE("automaton: no state that needs a timer is left without a way out",
          "[ppp][rfc1661-4.2]") {
  for (const State state :
       {State::kClosing, State::kStopping, State::kReqSent, State::kAckRcvd, State::kAckSent}) {
    CHECK(transition(Event::kToPlus, state).legal);
    CHECK(transition(Event::kToMinus, state).legal);
  }
  for (const State state :
       {State::kInitial, State::kStarting, State::kClosed, State::kStopped, State::kOpened})
    CHECK_FALSE(transition(Event::kToPlus, state).legal);
}
