#ifndef PUMA_VALUE_H_
#define PUMA_VALUE_H_
// Values of parameters, command arguments and results: what JSON can say, durations, and bytes of a Codec type.
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "puma/codec.h"

namespace puma {

namespace internal {
struct ValueAccess;
class RemoteHandle;
}  // namespace internal

// A value type; thread-compatible.
class Value {
 public:
  enum class Kind { kNull, kBool, kInt, kDouble, kString, kDuration, kList, kMap, kOpaque, kReference };
  Value() = default;
  Value(bool v) : kind_(Kind::kBool), int_(v) {}  // NOLINT: implicit by design, all of them
  template <class I>
  requires(std::integral<I> && !std::same_as<I, bool>) Value(I v) : kind_(Kind::kInt), int_(static_cast<int64_t>(v)) {}  // NOLINT
  Value(double v) : kind_(Kind::kDouble), double_(v) {}                                                                  // NOLINT
  Value(std::string v) : kind_(Kind::kString), text_(std::move(v)) {}                                                    // NOLINT
  Value(const char* v) : kind_(Kind::kString), text_(v) {}                                                               // NOLINT
  Value(absl::Duration v) : kind_(Kind::kDuration), int_(absl::ToInt64Nanoseconds(v)) {}                                 // NOLINT
  static Value List(std::vector<Value> items);
  static Value Map(std::map<std::string, Value> fields);
  static Value Opaque(std::string type, std::string bytes);
  // An object of another scope, as a result: see puma::Remote. The last copy lets go of it.
  static Value Reference(std::string type, std::shared_ptr<internal::RemoteHandle> object);

  // A duration is written as a string ("20ms"), an opaque value as {"@type": ..., "base64": ...}.
  std::string ToJson() const;
  static absl::StatusOr<Value> FromJson(std::string_view json);  // INVALID_ARGUMENT: no JSON

  Kind kind() const { return kind_; }
  const std::vector<Value>& list() const { return list_; }
  const std::map<std::string, Value>& fields() const { return fields_; }
  const std::shared_ptr<internal::RemoteHandle>& reference() const { return reference_; }

  template <class T>
  static Value Of(const T& v);
  // The bytes of T's Codec where it has one, although JSON could say it; As takes both.
  template <class T>
  static Value Encoded(const T& v);
  // INVALID_ARGUMENT says what was expected and what was there.
  template <class T>
  absl::StatusOr<T> As() const;
  template <class T>
  static std::string TypeName();  // "int", "list of double"

 private:
  friend struct internal::ValueAccess;
  absl::StatusOr<bool> AsBool() const;
  absl::StatusOr<int64_t> AsInt(int64_t min, int64_t max) const;
  absl::StatusOr<double> AsDouble() const;
  absl::StatusOr<std::string> AsString() const;
  absl::StatusOr<absl::Duration> AsDuration() const;
  absl::StatusOr<std::string> AsOpaque(std::string_view type) const;
  absl::Status Expected(std::string_view what) const;
  Kind kind_ = Kind::kNull;
  int64_t int_ = 0;
  double double_ = 0;
  std::string text_, type_;
  std::vector<Value> list_;
  std::map<std::string, Value> fields_;
  std::shared_ptr<internal::RemoteHandle> reference_;
};

namespace internal {
template <class>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};
template <class T>
concept Plain =
    std::integral<T> || std::floating_point<T> || std::same_as<T, std::string> || std::same_as<T, absl::Duration> || std::same_as<T, Value>;
template <class T>
struct SpeakableOf : std::bool_constant<Plain<T>> {};
template <class T>
struct SpeakableOf<std::vector<T>> : SpeakableOf<T> {};
template <class T>
struct SpeakableOf<std::map<std::string, T>> : SpeakableOf<T> {};
}  // namespace internal

template <class T>
concept Speakable = internal::SpeakableOf<T>::value;  // has a JSON form
template <class T>
concept Passable = Speakable<T> || Encodable<T>;  // may be an argument or a result

template <class T>
Value Value::Of(const T& v) {
  static_assert(Passable<T>, "puma: this argument or result can't leave its process: use a plain type or give it a puma::Codec");
  if constexpr (std::floating_point<T>) {
    return Value(static_cast<double>(v));
  } else if constexpr (internal::Plain<T>) {
    return Value(v);
  } else if constexpr (internal::IsVector<T>::value && Speakable<T>) {
    std::vector<Value> items;
    for (const auto& e : v) items.push_back(Of<typename T::value_type>(e));
    return List(std::move(items));
  } else if constexpr (internal::IsMap<T>::value) {
    std::map<std::string, Value> fields;
    for (const auto& [name, e] : v) fields.emplace(name, Of<typename T::mapped_type>(e));
    return Map(std::move(fields));
  } else if constexpr (Encodable<T>) {
    std::string bytes(Codec<T>::Size(v), '\0');
    Codec<T>::Encode(v, std::as_writable_bytes(std::span(bytes)));
    return Opaque(TypeName<T>(), std::move(bytes));
  } else {
    return Value();  // refused above
  }
}

template <class T>
Value Value::Encoded(const T& v) {
  if constexpr (Encodable<T> && !internal::Plain<T>) {
    std::string bytes(Codec<T>::Size(v), '\0');
    Codec<T>::Encode(v, std::as_writable_bytes(std::span(bytes)));
    return Opaque(TypeName<T>(), std::move(bytes));
  } else {
    return Of<T>(v);
  }
}

template <class T>
absl::StatusOr<T> Value::As() const {
  if constexpr (Encodable<T> && Speakable<T> && !internal::Plain<T>) {
    if (kind_ == Kind::kOpaque) {
      auto bytes = AsOpaque(TypeName<T>());
      if (!bytes.ok()) return bytes.status();
      return Codec<T>::Decode(std::as_bytes(std::span(*bytes)));
    }
  }
  if constexpr (std::same_as<T, Value>) {
    return *this;
  } else if constexpr (std::same_as<T, bool>) {
    return AsBool();
  } else if constexpr (std::integral<T>) {
    constexpr int64_t kMin = std::is_unsigned_v<T> ? 0 : static_cast<int64_t>(std::numeric_limits<T>::min());
    constexpr int64_t kMax = sizeof(T) == 8 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(std::numeric_limits<T>::max());
    auto v = AsInt(kMin, kMax);
    if (!v.ok()) return v.status();
    return static_cast<T>(*v);
  } else if constexpr (std::floating_point<T>) {
    auto v = AsDouble();
    if (!v.ok()) return v.status();
    return static_cast<T>(*v);
  } else if constexpr (std::same_as<T, std::string>) {
    return AsString();
  } else if constexpr (std::same_as<T, absl::Duration>) {
    return AsDuration();
  } else if constexpr (internal::IsVector<T>::value && Speakable<T>) {
    if (kind_ != Kind::kList) return Expected(TypeName<T>());
    T out;
    for (const Value& e : list_) {
      auto v = e.As<typename T::value_type>();
      if (!v.ok()) return v.status();
      out.push_back(*std::move(v));
    }
    return out;
  } else if constexpr (internal::IsMap<T>::value) {
    if (kind_ != Kind::kMap) return Expected(TypeName<T>());
    T out;
    for (const auto& [name, e] : fields_) {
      auto v = e.template As<typename T::mapped_type>();
      if (!v.ok()) return v.status();
      out.emplace(name, *std::move(v));
    }
    return out;
  } else {
    auto bytes = AsOpaque(TypeName<T>());
    if (!bytes.ok()) return bytes.status();
    return Codec<T>::Decode(std::as_bytes(std::span(*bytes)));
  }
}

template <class T>
std::string Value::TypeName() {
  if constexpr (std::same_as<T, Value>)
    return "any";
  else if constexpr (std::same_as<T, bool>)
    return "bool";
  else if constexpr (std::integral<T>)
    return "int";
  else if constexpr (std::floating_point<T>)
    return "double";
  else if constexpr (std::same_as<T, std::string>)
    return "string";
  else if constexpr (std::same_as<T, absl::Duration>)
    return "duration";
  else if constexpr (internal::IsVector<T>::value && Speakable<T>)
    return "list of " + TypeName<typename T::value_type>();
  else if constexpr (internal::IsMap<T>::value)
    return "map of " + TypeName<typename T::mapped_type>();
  else
    return internal::Demangle(typeid(T).name());
}

}  // namespace puma
#endif  // PUMA_VALUE_H_
