#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/key_value_store.h"

namespace afdg::catalog {

/// A value and how often its key was written; 0 stands for an absent key.
struct Versioned {
  std::string value;
  std::uint64_t version = 0;
};

/// What must hold, and what then is written: all of it or nothing.
struct Transaction {
  struct Compare {
    std::string key;
    std::uint64_t version;  ///< 0: the key must be absent
  };
  struct Write {
    std::string key;
    std::optional<std::string> value;  ///< absent: deletes
  };
  std::vector<Compare> compares;
  std::vector<Write> writes;
};

/// Where the catalog keeps what it decided: a compare-and-set store. One process uses RocksDB; several
/// machines may use etcd later. Thread-safety: confined. Errors: kFailedPrecondition when a compare does not
/// hold (nothing was written), kCorrupt, kDiskFull, kIo.
class CatalogStore {
 public:
  virtual ~CatalogStore() = default;
  [[nodiscard]] virtual Result<std::optional<Versioned>> get(std::string_view key) const = 0;
  /// Calls `visit` for every key that starts with `prefix`, in byte order.
  using Visit = std::function<void(std::string_view key, const Versioned&)>;
  virtual Status list(std::string_view prefix, const Visit& visit) const = 0;
  /// Durable on return.
  virtual Status commit(const Transaction& transaction) = 0;
};

/// On a key-value store whose apply() is durable (RocksOptions::write_ahead_log) or, in tests, any.
/// Ownership: takes it.
std::unique_ptr<CatalogStore> make_catalog_store(std::unique_ptr<store::KeyValueStore> store);

}  // namespace afdg::catalog
