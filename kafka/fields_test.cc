#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "kafka/internal/codec_impl.h"
#include "kafka/messages/all.h"

// Our table against Kafka's: what the golden messages cannot show, such as defaults and where null is
// refused.
namespace afdg::kafka {
namespace {

using internal::IsOptional;
using internal::IsVector;

template <class T>
std::string type_name() {
  if constexpr (IsOptional<T>::value)
    return type_name<typename T::value_type>();
  else if constexpr (IsVector<T>::value)
    return "[]" + type_name<typename T::value_type>();
  else if constexpr (std::is_same_v<T, bool>)
    return "bool";
  else if constexpr (std::is_same_v<T, std::string_view>)
    return "string";
  else if constexpr (std::is_same_v<T, Bytes>)
    return "bytes";
  else if constexpr (std::is_same_v<T, Records>)
    return "records";
  else if constexpr (std::is_same_v<T, Uuid>)
    return "uuid";
  else if constexpr (internal::Struct<T>)
    return "struct";
  else
    return "int" + std::to_string(sizeof(T) * 8);
}

template <class T>
struct Element {
  using type = T;
};
template <class T>
struct Element<std::vector<T>> : Element<T> {};
template <class T>
struct Element<std::optional<T>> : Element<T> {};

struct Lister {
  std::string path;
  int first, last;
  std::string& out;
  template <class M, class T>
  void operator()(M T::*member, const char* name, Field field) {
    const int from = std::max<int>(first, field.min), to = std::min<int>(last, field.max);
    if (from > to) return;
    const std::string here = path + "." + name;
    std::string value = "-";
    if constexpr (std::is_same_v<M, bool>)
      value = T().*member ? "true" : "false";
    else if constexpr (internal::Number<M>)
      value = std::to_string(static_cast<std::int64_t>(T().*member));
    const int null = std::max<int>(from, field.nullable_min);
    out += here + " " + type_name<M>() + " " + std::to_string(from) + " " + std::to_string(to) + " " +
           (null <= to ? std::to_string(null) : "-") + " " +
           (field.tag < 0 ? "-" : std::to_string(field.tag)) + " " + value + "\n";
    using E = typename Element<M>::type;
    if constexpr (internal::Struct<E>) {
      Lister inner{here, first, last, out};
      E::fields(inner);
    }
  }
};

template <class M>
void list(std::string& out) {
  const Api& row = api(M::kId.key);
  Lister lister{std::string(M::kId.name), row.accepted_min, row.max, out};
  M::fields(lister);
}

TEST(Fields, TheTableIsThatOfTheRealKafka) {
  std::string ours;
  for (const Api& row : apis())
    with_messages(row.key, [&](const auto& request, const auto& response) {
      list<std::decay_t<decltype(request)>>(ours);
      list<std::decay_t<decltype(response)>>(ours);
    });
  std::ifstream file(std::string(AFDG_KAFKA_GOLDEN) + "/fields.txt");
  std::istringstream lines(ours);
  std::string wanted, line;
  int count = 0;
  while (std::getline(file, wanted)) {
    ASSERT_TRUE(std::getline(lines, line)) << "missing: " << wanted;
    ASSERT_EQ(line, wanted);
    ++count;
  }
  EXPECT_FALSE(std::getline(lines, line)) << "not in Kafka: " << line;
  EXPECT_GT(count, 500);
}

}  // namespace
}  // namespace afdg::kafka
