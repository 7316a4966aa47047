#pragma once

#include <string>

namespace afdg::server {

/// `afdgd verify` (`program` is its name there): checks a stopped node's files and prints a sentence for each
/// damage. Changes nothing in the log. Returns the exit code: 0 sound, 2 no such directory, 3 in use, 4
/// damaged or newer, 5 unreadable.
int verify_node(const std::string& data, const std::string& program = "afdgd");

}  // namespace afdg::server
