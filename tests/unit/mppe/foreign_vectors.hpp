// SPDX-License-Identifier: BSD-3-Clause
//
// Three stateless packets of another implementation for each strength (RFC 3078 §7.1): the scalar
// code and the engine must open and make them alike. Hexadecimal.
#pragma once

#include <array>

namespace pns::test {

struct ForeignVector {
  unsigned bits;
  std::array<const char*, 3> packets;  // from the MPPE header on
};

inline constexpr std::array<const char*, 3> kForeignClear = {
    "00214500001c00000000401166870a4000020a0000097061636b65742030",
    "00214500001c00010000401166860a4000020a0000097061636b65742031",
    "00214500001c00020000401166850a4000020a0000097061636b65742032"};

inline constexpr std::array<ForeignVector, 3> kForeignVectors = {{
    {128,
     {"90007058132be07358bad366c93419d39ffa69f232d345fcc4556e4ef826f7b3",
      "9001353ca429a62dee5d42dd5b86eb14fa0200b13f711d521ccf45c5ba2ebd17",
      "9002ccd975db31a5cb5dd449e502946a078ca87bb542b66b44cf3ad63dc6ec05"}},
    {56,
     {"900068dab65ba56787590f82a504dc035fe5ff6337aeca9329e0bdf55eb60635",
      "9001b23cb706b0abaab469ac1ed2e1bc6e064ad0083bc3b2b31a868d985fc1ec",
      "90028d3ccab7c9da2cc43c3eddf789bf68db3892da8805d1c06273111db80df9"}},
    {40,
     {"90009edc946694f2408f375e9d54320f1b0517e10f10d1fb242a42b5a5ad189e",
      "9001f2031b6c4de591fbbb5e7fe269b37e15bb65bda692cf9bd57bc762a62166",
      "9002370ac53ee3d7788d8fd12e2df212ed108a99dad022ba7a7ec339c27654d9"}},
}};

}  // namespace pns::test
