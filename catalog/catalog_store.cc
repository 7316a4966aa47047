#include "catalog/catalog_store.h"

#include <algorithm>
#include <map>

#include "base/codec.h"

namespace afdg::catalog {
namespace {

// ON DISK: eight bytes of version, big endian, then the value.
Result<Versioned> decode(std::string_view key, std::string_view stored) {
  ByteReader reader(stored);
  const std::uint64_t version = reader.be64();
  if (reader.failed() || version == 0) {
    return fail(Code::kCorrupt,
                "the catalog's entry '" + std::string(key) + "' is damaged: restore the data directory");
  }
  return Versioned{std::string(stored.substr(8)), version};
}

class KeyValueCatalogStore final : public CatalogStore {
 public:
  explicit KeyValueCatalogStore(std::unique_ptr<store::KeyValueStore> store) : store_(std::move(store)) {}

  Result<std::optional<Versioned>> get(std::string_view key) const override {
    AFDG_ASSIGN(auto stored, store_->get(key));
    if (!stored) return std::optional<Versioned>();
    AFDG_ASSIGN(auto versioned, decode(key, *stored));
    return std::optional(std::move(versioned));
  }

  Status list(std::string_view prefix, const Visit& visit) const override {
    Status status;
    AFDG_TRY(store_->scan(prefix, {}, [&](std::string_view key, std::string_view stored) {
      if (!key.starts_with(prefix)) return false;
      auto versioned = decode(key, stored);
      if (!versioned) {
        status = versioned.error();
        return false;
      }
      visit(key, *versioned);
      return true;
    }));
    return status;
  }

  Status commit(const Transaction& transaction) override {
    for (const auto& compare : transaction.compares) {
      AFDG_ASSIGN(auto present, get(compare.key));
      const std::uint64_t version = present ? present->version : 0;
      if (version != compare.version) {
        return fail(Code::kFailedPrecondition,
                    "the catalog's entry '" + compare.key + "' changed meanwhile: try again");
      }
    }
    std::map<std::string, std::optional<std::string>> sorted;
    for (const auto& write : transaction.writes) {
      std::optional<std::string> bytes;
      if (write.value) {
        AFDG_ASSIGN(auto present, get(write.key));
        put_be64(bytes.emplace(), present ? present->version + 1 : 1);
        *bytes += *write.value;
      }
      sorted.insert_or_assign(write.key, std::move(bytes));
    }
    std::vector<store::Change> changes;
    changes.reserve(sorted.size());
    for (const auto& [key, bytes] : sorted) {
      changes.push_back({key, bytes ? std::optional<std::string_view>(*bytes) : std::nullopt});
    }
    return store_->apply(changes);
  }

 private:
  std::unique_ptr<store::KeyValueStore> store_;
};

}  // namespace

std::unique_ptr<CatalogStore> make_catalog_store(std::unique_ptr<store::KeyValueStore> store) {
  return std::make_unique<KeyValueCatalogStore>(std::move(store));
}

}  // namespace afdg::catalog
