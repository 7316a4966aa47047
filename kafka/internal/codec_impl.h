#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "kafka/codec.h"

// The visitors behind decode(), encode(), dump() and min_size(). Included by messages/*.cc alone: it is
// heavy.
namespace afdg::kafka::internal {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

struct AnyVisitor {
  template <class M, class T>
  constexpr void operator()(M T::*, const char*, Field) const {}
};
template <class T>
concept Struct = requires(AnyVisitor& v) {
  T::fields(v);
};
template <class T>
concept Number = std::is_integral_v<T> || std::is_enum_v<T>;

/// The smallest encoding of a struct or of a field.
template <class T, bool kFlexible>
constexpr std::size_t min_size_of(std::int16_t version);

template <bool kFlexible>
struct MinSize {
  std::int16_t version;
  std::size_t total = 0;
  template <class M, class T>
  constexpr void operator()(M T::*, const char*, Field field) {
    if (field.in(version) && field.tag < 0) total += min_size_of<M, kFlexible>(version);
  }
};

template <class T, bool kFlexible>
constexpr std::size_t min_size_of(std::int16_t version) {
  if constexpr (IsOptional<T>::value) {
    if constexpr (Struct<typename T::value_type>)
      return 1;  // a byte that says null
    else
      return min_size_of<typename T::value_type, kFlexible>(version);
  } else if constexpr (IsVector<T>::value || std::is_same_v<T, Bytes> || std::is_same_v<T, Records>) {
    return kFlexible ? 1 : 4;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return kFlexible ? 1 : 2;
  } else if constexpr (std::is_same_v<T, Uuid>) {
    return 16;
  } else if constexpr (Struct<T>) {
    MinSize<kFlexible> sum{version};
    T::fields(sum);
    return sum.total + (kFlexible ? 1 : 0);
  } else {
    return sizeof(T);
  }
}

template <class T, bool kFlexible>
inline constexpr auto kMinSizes = [] {
  std::array<std::uint16_t, kVersionsEnd> out{};
  for (int v = 0; v < kVersionsEnd; ++v)
    out[static_cast<std::size_t>(v)] =
        static_cast<std::uint16_t>(min_size_of<T, kFlexible>(static_cast<std::int16_t>(v)));
  return out;
}();

template <class T>
std::size_t min_size_at(std::int16_t version, bool flexible) noexcept {
  const auto at = static_cast<std::size_t>(version);
  const std::size_t size = flexible ? kMinSizes<T, true>[at] : kMinSizes<T, false>[at];
  return size == 0 ? 1 : size;
}

/// What a field has when nothing was read into it.
template <class M, class T>
[[gnu::always_inline]] inline void set_default(T& message, M T::*member) {
  if constexpr (IsVector<M>::value)
    (message.*member).clear();
  else
    message.*member = T().*member;
}

class Decoder {
 public:
  Decoder(Reader& reader, std::int16_t version, bool flexible, std::size_t array_bytes_max)
      : in_(reader), version_(version), flexible_(flexible), array_bytes_left_(array_bytes_max) {}

  template <Struct T>
  void read_struct(T& message) {
    Plain<T> plain{*this, message};
    T::fields(plain);
    if (flexible_ && !in_.failed()) read_tagged(message);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  /// The fields that are not tagged.
  template <class T>
  struct Plain {
    Decoder& decoder;
    T& message;
    template <class M>
    [[gnu::always_inline]] void operator()(M T::*member, const char* name, Field field) {
      if (field.tag >= 0 || !field.in(decoder.version_)) return set_default(message, member);
      if (decoder.in_.failed()) return;
      decoder.read(message.*member, field.may_be_null(decoder.version_));
      if (decoder.in_.failed()) [[unlikely]]
        decoder.name_problem(name);
    }
  };
  /// The one with that tag.
  template <class T>
  struct Tagged {
    Decoder& decoder;
    T& message;
    std::uint32_t tag;
    const char* found = nullptr;
    template <class M>
    void operator()(M T::*member, const char* name, Field field) {
      if (field.tag < 0 || static_cast<std::uint32_t>(field.tag) != tag || !field.in(decoder.version_))
        return;
      found = name;
      decoder.read(message.*member, field.may_be_null(decoder.version_));
    }
  };

  template <class T>
  void read_tagged(T& message) {
    std::uint32_t count = in_.varint();
    if (in_.failed()) return name_problem("TaggedFields");
    if (count > in_.left() / 2)
      return in_.fail(std::to_string(count) + " tagged fields do not fit into the " +
                      std::to_string(in_.left()) + " bytes left"),
             name_problem("TaggedFields");
    for (; count > 0 && !in_.failed(); --count) {
      const std::uint32_t tag = in_.varint();
      const std::uint32_t size = in_.varint();
      if (size > in_.left())
        in_.fail("tagged field " + std::to_string(tag) + " of " + std::to_string(size) + " bytes, but " +
                 std::to_string(in_.left()) + " are left");
      const std::size_t end = in_.position() + size;
      Tagged<T> tagged{*this, message, tag};
      if (!in_.failed()) T::fields(tagged);
      if (in_.failed()) return name_problem(tagged.found ? tagged.found : "TaggedFields");
      if (tagged.found == nullptr) {
        in_.bytes(size);  // of a newer version: skipped
      } else if (in_.position() != end) {
        in_.fail("tagged field " + std::to_string(tag) + " has a size of " + std::to_string(size) +
                 " bytes, but its value another");
        return name_problem(tagged.found);
      }
    }
    if (in_.failed()) name_problem("TaggedFields");
  }

  template <class M>
  [[gnu::always_inline]] void read(M& value, bool may_be_null) {
    if constexpr (std::is_same_v<M, bool>) {
      value = in_.i8() != 0;
    } else if constexpr (std::is_same_v<M, std::string_view>) {
      if (!read_string(value)) null_problem();
    } else if constexpr (std::is_same_v<M, std::optional<std::string_view>>) {
      if (!read_string(value.emplace())) {
        value.reset();
        if (!may_be_null) null_problem();
      }
    } else if constexpr (std::is_same_v<M, Bytes>) {
      const std::int64_t size = in_.length(flexible_);
      size < 0 ? length_problem(size)
               : static_cast<void>(value = in_.bytes(static_cast<std::uint64_t>(size)));
    } else if constexpr (std::is_same_v<M, Records>) {
      const std::int64_t size = in_.length(flexible_);
      if (size >= 0) {
        value = in_.bytes(static_cast<std::uint64_t>(size));
      } else {
        value = Records::null();
        if (size < -1 || !may_be_null) length_problem(size);
      }
    } else if constexpr (std::is_same_v<M, Uuid>) {
      value = in_.uuid();
    } else if constexpr (IsVector<M>::value) {
      if (!read_array(value)) null_problem();
    } else if constexpr (IsOptional<M>::value) {
      if constexpr (Struct<typename M::value_type>) {
        if (in_.i8() >= 0)
          read_struct(value.emplace());
        else if (value.reset(); !may_be_null)
          null_problem();
      } else {
        if (!value) value.emplace();
        if (!read_array(*value)) {
          value.reset();
          if (!may_be_null) null_problem();
        }
      }
    } else if constexpr (Struct<M>) {
      read_struct(value);
    } else {
      read_number(value);
    }
  }

  template <Number M>
  void read_number(M& value) {
    if constexpr (sizeof(M) == 1)
      value = static_cast<M>(in_.i8());
    else if constexpr (sizeof(M) == 2)
      value = static_cast<M>(in_.i16());
    else if constexpr (sizeof(M) == 4)
      value = static_cast<M>(in_.i32());
    else
      value = static_cast<M>(in_.i64());
  }

  /// False for null.
  bool read_string(std::string_view& value) {
    const std::int64_t size = in_.string_length(flexible_);
    if (size < 0 && !in_.failed()) {
      value = {};
      if (size < -1) length_problem(size);
      return in_.failed();
    }
    if (size > static_cast<std::int64_t>(Writer::kStringBytesMax)) return length_problem(size), true;
    value = in_.bytes(static_cast<std::uint64_t>(size));
    return true;
  }

  /// False for null.
  template <class T>
  bool read_array(std::vector<T>& value) {
    const std::int64_t count = in_.length(flexible_);
    if (count <= 0) {
      value.clear();
      if (count < -1) length_problem(count);
      return count != -1 || in_.failed();
    }
    const std::size_t least = min_size_at<T>(version_, flexible_);
    if (static_cast<std::uint64_t>(count) > in_.left() / least) return count_problem(count, least), true;
    const std::uint64_t memory = static_cast<std::uint64_t>(count) * sizeof(T);
    if (memory > array_bytes_left_) return memory_problem(count, memory), true;
    array_bytes_left_ -= memory;
    value.resize(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < value.size(); ++i) {
      read(value[i], false);
      if (in_.failed()) [[unlikely]]
        return index_problem(i), true;
    }
    return true;
  }

  [[gnu::cold, gnu::noinline]] void null_problem() { in_.fail("null, but this version has no null here"); }
  [[gnu::cold, gnu::noinline]] void length_problem(std::int64_t size) {
    if (size == -1) return null_problem();
    in_.fail("a length of " + std::to_string(size) +
             (size < 0 ? ", which is negative" : ", above the limit of 32767"));
  }
  [[gnu::cold, gnu::noinline]] void count_problem(std::int64_t count, std::size_t least) {
    in_.fail(std::to_string(count) + " elements of at least " + std::to_string(least) +
             " bytes do not fit into the " + std::to_string(in_.left()) + " bytes left");
  }
  [[gnu::cold, gnu::noinline]] void memory_problem(std::int64_t count, std::uint64_t memory) {
    in_.fail(std::to_string(count) + " elements need " + std::to_string(memory) + " bytes of memory, but " +
             std::to_string(array_bytes_left_) + " of the request's are left: send fewer in a request");
  }
  /// The path to the problem, put together on the way out.
  [[gnu::cold, gnu::noinline]] void name_problem(const char* name) {
    path_.insert(0, std::string(".") + name);
  }
  [[gnu::cold, gnu::noinline]] void index_problem(std::size_t index) {
    path_.insert(0, "[" + std::to_string(index) + "]");
  }

  Reader& in_;
  const std::int16_t version_;
  const bool flexible_;
  std::uint64_t array_bytes_left_;
  std::string path_;
};

class Encoder {
 public:
  Encoder(Writer& writer, std::int16_t version, bool flexible)
      : out_(writer), version_(version), flexible_(flexible) {}

  template <Struct T>
  void write_struct(const T& message) {
    Plain<T> plain{*this, message};
    T::fields(plain);
    if (!flexible_) return;
    Tagged<T> tagged{*this, message};
    tagged.write = false;
    T::fields(tagged);
    out_.varint(tagged.count);
    if (tagged.count == 0) return;
    tagged.write = true;
    T::fields(tagged);
  }

 private:
  template <class T>
  struct Plain {
    Encoder& encoder;
    const T& message;
    template <class M>
    [[gnu::always_inline]] void operator()(M T::*member, const char*, Field field) {
      if (field.tag < 0 && field.in(encoder.version_))
        encoder.write(message.*member, field.may_be_null(encoder.version_));
    }
  };
  /// First counts the tagged fields that are not their default, then writes them.
  template <class T>
  struct Tagged {
    Encoder& encoder;
    const T& message;
    bool write = false;
    std::uint32_t count = 0;
    template <class M>
    void operator()(M T::*member, const char*, Field field) {
      if (field.tag < 0 || !field.in(encoder.version_) || is_default(message, member)) return;
      if (!write) return void(++count);
      encoder.out_.varint(static_cast<std::uint32_t>(field.tag));
      const std::size_t from = encoder.out_.position();
      encoder.write(message.*member, field.may_be_null(encoder.version_));
      encoder.out_.insert_length(from);
    }
  };

 public:
  template <class M, class T>
  static bool is_default(const T& message, M T::*member) {
    if constexpr (IsVector<M>::value)
      return (message.*member).empty();
    else if constexpr (IsOptional<M>::value && !std::is_same_v<M, std::optional<std::string_view>>)
      return !(message.*member).has_value();
    else if constexpr (requires(const M& m) { m == m; })
      return message.*member == T().*member;
    else
      return false;
  }

 private:
  template <class M>
  [[gnu::always_inline]] void write(const M& value, bool may_be_null) {
    if constexpr (std::is_same_v<M, std::string_view>) {
      out_.string(value, flexible_);
    } else if constexpr (std::is_same_v<M, std::optional<std::string_view>>) {
      !value&& may_be_null ? out_.null_string(flexible_)
                           : out_.string(value.value_or(std::string_view()), flexible_);
    } else if constexpr (std::is_same_v<M, Bytes>) {
      out_.length(static_cast<std::int64_t>(value.size()), flexible_);
      out_.bytes(value);
    } else if constexpr (std::is_same_v<M, Records>) {
      value.is_null() && !may_be_null ? out_.length(0, flexible_) : out_.records(value, flexible_);
    } else if constexpr (std::is_same_v<M, Uuid>) {
      out_.uuid(value);
    } else if constexpr (IsVector<M>::value) {
      write_array(value);
    } else if constexpr (IsOptional<M>::value) {
      if constexpr (Struct<typename M::value_type>) {
        out_.i8(value ? 1 : -1);
        if (value) write_struct(*value);
      } else {
        if (value) return write_array(*value);
        out_.length(may_be_null ? -1 : 0, flexible_);
      }
    } else if constexpr (Struct<M>) {
      write_struct(value);
    } else if constexpr (sizeof(M) == 1) {
      out_.i8(static_cast<std::int8_t>(value));
    } else if constexpr (sizeof(M) == 2) {
      out_.i16(static_cast<std::int16_t>(value));
    } else if constexpr (sizeof(M) == 4) {
      out_.i32(static_cast<std::int32_t>(value));
    } else {
      static_assert(sizeof(M) == 8 && Number<M>);
      out_.i64(static_cast<std::int64_t>(value));
    }
  }

  template <class T>
  void write_array(const std::vector<T>& value) {
    out_.length(static_cast<std::int64_t>(value.size()), flexible_);
    for (const T& element : value) write(element, false);
  }

  Writer& out_;
  const std::int16_t version_;
  const bool flexible_;
};

/// Text forms; codec_text.cc.
void dump_string(std::string& out, std::string_view text);
void dump_base64(std::string& out, std::string_view bytes);
void dump_name(std::string& out, std::string_view name);

class Dumper {
 public:
  Dumper(std::string& out, std::int16_t version) : out_(out), version_(version) {}

  template <Struct T>
  void dump_struct(const T& message) {
    out_.push_back('{');
    Each<T> each{*this, message};
    T::fields(each);
    out_.push_back('}');
  }

 private:
  template <class T>
  struct Each {
    Dumper& dumper;
    const T& message;
    bool first = true;
    template <class M>
    void operator()(M T::*member, const char* name, Field field) {
      if (!field.in(dumper.version_) || (field.tag >= 0 && Encoder::is_default(message, member))) return;
      if (!first) dumper.out_.push_back(',');
      first = false;
      const auto& value = message.*member;
      dump_name(dumper.out_, name);
      if constexpr (std::is_same_v<M, Records>) {
        if (!value.is_null()) {
          dumper.out_.insert(dumper.out_.size() - 2, "SizeInBytes");
          dumper.out_ += std::to_string(value.size());
          return;
        }
      }
      dumper.dump(value);
    }
  };

  template <class M>
  void dump(const M& value) {
    if constexpr (std::is_same_v<M, bool>) {
      out_ += value ? "true" : "false";
    } else if constexpr (std::is_same_v<M, std::string_view>) {
      dump_string(out_, value);
    } else if constexpr (std::is_same_v<M, Bytes>) {
      dump_base64(out_, value);
    } else if constexpr (std::is_same_v<M, Records>) {
      out_ += "null";
    } else if constexpr (std::is_same_v<M, Uuid>) {
      dump_string(out_, value.to_string());
    } else if constexpr (IsVector<M>::value) {
      out_.push_back('[');
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (i > 0) out_.push_back(',');
        dump(value[i]);
      }
      out_.push_back(']');
    } else if constexpr (IsOptional<M>::value) {
      value ? dump(*value) : static_cast<void>(out_ += "null");
    } else if constexpr (Struct<M>) {
      dump_struct(value);
    } else {
      out_ += std::to_string(static_cast<std::int64_t>(value));
    }
  }

  std::string& out_;
  const std::int16_t version_;
};

[[gnu::cold]] Error unreadable(const MessageId& message, std::int16_t version, const Decoder& decoder,
                               const Reader& reader);

}  // namespace afdg::kafka::internal

namespace afdg::kafka {

template <class M>
Status decode(M& message, std::int16_t version, std::string_view body, const DecodeOptions& options) {
  constexpr const Api& row = api(M::kId.key);
  if (!row.accepts(version)) [[unlikely]]
    return check_api(static_cast<std::int16_t>(row.key), version).status();
  Reader reader(body);
  internal::Decoder decoder(reader, version, row.flexible(version), options.array_bytes_max);
  decoder.read_struct(message);
  if (options.refuse_rest && !reader.failed() && reader.left() > 0)
    reader.fail(std::to_string(reader.left()) + " bytes follow the message");
  if (reader.failed()) [[unlikely]]
    return internal::unreadable(M::kId, version, decoder, reader);
  return {};
}

template <class M>
void encode(const M& message, std::int16_t version, Writer& out) {
  constexpr const Api& row = api(M::kId.key);
  AFDG_ASSERT(row.accepts(version), "a message is encoded as a version that api.def does not have");
  internal::Encoder(out, version, row.flexible(version)).write_struct(message);
}

template <class M>
std::string dump(const M& message, std::int16_t version) {
  std::string out;
  internal::Dumper(out, version).dump_struct(message);
  return out;
}

template <class M>
std::size_t min_size(std::int16_t version) {
  constexpr const Api& row = api(M::kId.key);
  AFDG_ASSERT(row.accepts(version), "the size of a version that api.def does not have");
  const auto at = static_cast<std::size_t>(version);
  return row.flexible(version) ? internal::kMinSizes<M, true>[at] : internal::kMinSizes<M, false>[at];
}

}  // namespace afdg::kafka
