#pragma once

#include <memory>

#include "store/file_system.h"

namespace afdg::server {

/// A file system that reads from another and keeps every change in memory: what a start would do can be tried
/// without touching the files. Thread-safety: confined. Ownership: `below` outlives it. Bounds: memory for
/// what is written; holes of zeros cost nothing.
std::unique_ptr<store::FileSystem> make_overlay(store::FileSystem& below);

}  // namespace afdg::server
