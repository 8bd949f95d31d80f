// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/rc4_lanes.hpp"

using pns::dataplane::Rc4Kernels;

extern "C" {
Rc4Kernels::SetKeys pns_rc4_set_keys_1, pns_rc4_set_keys_2, pns_rc4_set_keys_3, pns_rc4_set_keys_4,
    pns_rc4_set_keys_5, pns_rc4_set_keys_6;
Rc4Kernels::ChangeKeys pns_rc4_change_keys_1, pns_rc4_change_keys_2, pns_rc4_change_keys_3,
    pns_rc4_change_keys_4, pns_rc4_change_keys_5, pns_rc4_change_keys_6;
Rc4Kernels::Generate pns_rc4_generate_1, pns_rc4_generate_2, pns_rc4_generate_3, pns_rc4_generate_4,
    pns_rc4_generate_5, pns_rc4_generate_6;
Rc4Kernels::GoOn pns_rc4_go_on_1, pns_rc4_go_on_2, pns_rc4_go_on_3, pns_rc4_go_on_4;
Rc4Kernels::SetKeys pns_rc4_words_set_keys_1, pns_rc4_words_set_keys_2, pns_rc4_words_set_keys_3,
    pns_rc4_words_set_keys_4, pns_rc4_words_set_keys_5, pns_rc4_words_set_keys_6;
Rc4Kernels::ChangeKeys pns_rc4_words_change_keys_1, pns_rc4_words_change_keys_2,
    pns_rc4_words_change_keys_3, pns_rc4_words_change_keys_4, pns_rc4_words_change_keys_5,
    pns_rc4_words_change_keys_6;
Rc4Kernels::Generate pns_rc4_words_generate_1, pns_rc4_words_generate_2, pns_rc4_words_generate_3,
    pns_rc4_words_generate_4, pns_rc4_words_generate_5, pns_rc4_words_generate_6;
Rc4Kernels::GoOn pns_rc4_words_go_on_1, pns_rc4_words_go_on_2, pns_rc4_words_go_on_3,
    pns_rc4_words_go_on_4;
void pns_rc4_clear_stack(pns::dataplane::StackLow) noexcept;
}

namespace pns::dataplane {

static_assert(kStreamStride == 1600);  // STRIDE there
static_assert(offsetof(RunningIndices, j) == 4 && sizeof(RunningIndices) == 8);

const Rc4Kernels& rc4_lanes(Rc4Form form) noexcept {
  static constexpr Rc4Kernels kBytes = {
      .set_keys = {pns_rc4_set_keys_1, pns_rc4_set_keys_2, pns_rc4_set_keys_3, pns_rc4_set_keys_4,
                   pns_rc4_set_keys_5, pns_rc4_set_keys_6},
      .change_keys = {pns_rc4_change_keys_1, pns_rc4_change_keys_2, pns_rc4_change_keys_3,
                      pns_rc4_change_keys_4, pns_rc4_change_keys_5, pns_rc4_change_keys_6},
      .generate_one = {pns_rc4_generate_1, pns_rc4_generate_2, pns_rc4_generate_3,
                       pns_rc4_generate_4, pns_rc4_generate_5, pns_rc4_generate_6},
      .generate_few = {pns_rc4_generate_1, pns_rc4_generate_2, pns_rc4_generate_3,
                       pns_rc4_generate_4, pns_rc4_generate_5, pns_rc4_generate_6},
      .generate = {pns_rc4_generate_1, pns_rc4_generate_2, pns_rc4_generate_3, pns_rc4_generate_4,
                   pns_rc4_generate_5, pns_rc4_generate_6},
      .go_on = {pns_rc4_go_on_1, pns_rc4_go_on_2, pns_rc4_go_on_3, pns_rc4_go_on_4}};
  static constexpr Rc4Kernels kWords = {
      .set_keys = {pns_rc4_words_set_keys_1, pns_rc4_words_set_keys_2, pns_rc4_words_set_keys_3,
                   pns_rc4_words_set_keys_4, pns_rc4_words_set_keys_5, pns_rc4_words_set_keys_6},
      .change_keys = {pns_rc4_words_change_keys_1, pns_rc4_words_change_keys_2,
                      pns_rc4_words_change_keys_3, pns_rc4_words_change_keys_4,
                      pns_rc4_words_change_keys_5, pns_rc4_words_change_keys_6},
      .generate_one = {pns_rc4_generate_1, pns_rc4_generate_2, pns_rc4_generate_3,
                       pns_rc4_generate_4, pns_rc4_generate_5,
                       pns_rc4_generate_6},  // a table is not expanded for one block
      .generate_few = {pns_rc4_words_generate_1, pns_rc4_words_generate_2, pns_rc4_words_generate_3,
                       pns_rc4_words_generate_4, pns_rc4_words_generate_5,
                       pns_rc4_words_generate_6},
      .generate = {pns_rc4_words_generate_1, pns_rc4_words_generate_2, pns_rc4_words_generate_3,
                   pns_rc4_words_generate_4, pns_rc4_words_generate_5, pns_rc4_words_generate_6},
      .go_on = {pns_rc4_words_go_on_1, pns_rc4_words_go_on_2, pns_rc4_words_go_on_3,
                pns_rc4_words_go_on_4}};
  return form == Rc4Form::kBytes ? kBytes : kWords;
}

void clear_stack_lanes(StackLow low) noexcept { pns_rc4_clear_stack(low); }

}  // namespace pns::dataplane
