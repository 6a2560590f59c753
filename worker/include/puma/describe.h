#ifndef PUMA_DESCRIBE_H_
#define PUMA_DESCRIBE_H_
// Optional: structs that name their fields, so that a tap (`puma-ctl tap`) shows values instead of bytes. By Boost.Describe, headers only:
//   struct Pose { double x, y; Mode mode; char frame[16]; };
//   BOOST_DESCRIBE_STRUCT(Pose, (), (x, y, mode, frame))
// beside the struct, in its namespace; base classes stand in the second parentheses. Fields are numbers, enumerations (shown as numbers),
// char arrays (shown as text up to the first NUL), arrays of these, and structs that are described themselves. Others are left out.
#include <array>
#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

#include "puma/codec.h"

namespace puma {
namespace internal {

template <class T>
concept Described = boost::describe::has_describe_members<T>::value && std::is_trivially_copyable_v<T> && !std::is_union_v<T>;

// What a field is when its arrays are taken apart, and how many of these there are.
template <class T>
struct FieldOf {
  using type = T;
  static constexpr size_t kCount = 1;
};
template <class T, size_t N>
struct FieldOf<T[N]> {
  using type = typename FieldOf<T>::type;
  static constexpr size_t kCount = N * FieldOf<T>::kCount;
};
template <class T, size_t N>
struct FieldOf<std::array<T, N>> : FieldOf<T[N]> {};

template <class T>
std::string ScalarName() {
  if constexpr (std::is_enum_v<T>) {
    return Demangle(typeid(std::underlying_type_t<T>).name());
  } else {
    return Demangle(typeid(T).name());
  }
}

// The JSON of a puma.v1.StructSchema.
template <Described T>
std::string StructJson() {
  alignas(T) std::byte memory[sizeof(T)] = {};  // T need not have a default constructor
  const T& object = *reinterpret_cast<const T*>(memory);
  std::string fields;
  using Members = boost::describe::describe_members<T, boost::describe::mod_any_access | boost::describe::mod_inherited>;
  boost::mp11::mp_for_each<Members>([&](auto member) {
    using Whole = std::remove_cvref_t<decltype(object.*member.pointer)>;
    using Field = FieldOf<Whole>;
    using Type = std::remove_cv_t<typename Field::type>;
    const size_t offset = static_cast<size_t>(reinterpret_cast<const std::byte*>(&(object.*member.pointer)) - memory);
    fields += std::string(fields.empty() ? "" : ",") + R"({"name":")" + member.name + R"(","type":")" + ScalarName<Type>() +
              R"(","offset":)" + std::to_string(offset);
    if constexpr (!std::is_same_v<Whole, Type>) fields += R"(,"count":)" + std::to_string(Field::kCount);
    if constexpr (Described<Type>) fields += R"(,"structure":)" + StructJson<Type>();
    fields += "}";
  });
  return R"({"size":)" + std::to_string(sizeof(T)) + R"(,"fields":[)" + fields + "]}";
}

}  // namespace internal

template <internal::Described T>
struct Schema<T> {
  static std::string Json() { return R"({"structure":)" + internal::StructJson<T>() + "}"; }
};

}  // namespace puma
#endif  // PUMA_DESCRIBE_H_
