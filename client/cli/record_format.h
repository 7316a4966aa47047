#pragma once

#include <string>

#include "base/result.h"

namespace afdg::v1 {
class ConsumedRecord;
}

namespace afdg::client::cli {

/// Appends `record` in the form that `format` asks for: %t topic, %p partition, %o offset, %k key, %v value,
/// %T timestamp in milliseconds, %h headers as a=b,c=d, %% a percent sign; \n, \t, \\ as in C.
/// An absent key or value is empty.
void format_record(const std::string& format, const v1::ConsumedRecord& record, std::string& out);
/// Errors: kInvalidArgument for an unknown letter.
Status check_record_format(const std::string& format);

}  // namespace afdg::client::cli
