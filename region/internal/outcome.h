#pragma once

#include <string>

#include "region/core.h"

namespace afdg::region {

/// The outcome of a message, as it is remembered and repeated.
struct Outcome {
  Code code = Code::kOk;
  Content content = Content::kProtobuf;
  Offset offset{-1};
  std::string text;  ///< answer, or the error's sentence
};

}  // namespace afdg::region
