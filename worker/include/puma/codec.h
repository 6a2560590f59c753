#ifndef PUMA_CODEC_H_
#define PUMA_CODEC_H_
// How a type travels through a lane: where it lies, or encoded. A type of your own travels once it has a puma::Codec<T>.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "puma/status.h"

namespace puma {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// kInPlace: the message is the object. Else Size bytes are written by Encode and read by Decode (DATA_LOSS: these bytes are no T).
template <class T>
struct Codec;

namespace internal {
std::string Demangle(const char* mangled);
absl::Status WrongSize(const std::type_info& type, size_t got, size_t wanted);
template <class T>
inline constexpr bool IsHandle = std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_reference_v<T>;
template <>
inline constexpr bool IsHandle<std::string_view> = true;
template <class T, size_t N>
inline constexpr bool IsHandle<std::span<T, N>> = true;
}  // namespace internal

// Plain structs and numbers: written and read where they lie in the lane. Pointers inside a struct can't be recognised: don't.
template <class T>
requires(std::is_trivially_copyable_v<T> && !internal::IsHandle<T> && !std::is_empty_v<T>) struct Codec<T> {
  static constexpr bool kInPlace = true;
  static_assert(alignof(T) <= 64, "puma: lanes align to 64 bytes at most");
  static size_t Size(const T&) { return sizeof(T); }
  static void Encode(const T& v, MutableBytes out) { std::memcpy(out.data(), &v, sizeof(T)); }
  static absl::StatusOr<T> Decode(Bytes in) {
    if (in.size() != sizeof(T)) return internal::WrongSize(typeid(T), in.size(), sizeof(T));
    std::remove_const_t<T> v;
    std::memcpy(&v, in.data(), sizeof(T));
    return v;
  }
};
template <>
struct Codec<std::string_view>;  // trivially copyable, but its bytes lie elsewhere
template <class T, size_t N>
struct Codec<std::span<T, N>>;

template <>
struct Codec<std::string> {
  static constexpr bool kInPlace = false;
  static size_t Size(const std::string& v) { return v.size(); }
  static void Encode(const std::string& v, MutableBytes out) {
    if (!v.empty()) std::memcpy(out.data(), v.data(), v.size());
  }
  static absl::StatusOr<std::string> Decode(Bytes in) { return std::string(reinterpret_cast<const char*>(in.data()), in.size()); }
};
template <class T>
requires(std::is_trivially_copyable_v<T> && !internal::IsHandle<T> && !std::same_as<T, bool>) struct Codec<std::vector<T>> {
  static constexpr bool kInPlace = false;
  static size_t Size(const std::vector<T>& v) { return v.size() * sizeof(T); }
  static void Encode(const std::vector<T>& v, MutableBytes out) {
    if (!v.empty()) std::memcpy(out.data(), v.data(), out.size());
  }
  static absl::StatusOr<std::vector<T>> Decode(Bytes in) {
    if (in.size() % sizeof(T) != 0) return internal::WrongSize(typeid(std::vector<T>), in.size(), sizeof(T));
    std::vector<T> v(in.size() / sizeof(T));
    if (!in.empty()) std::memcpy(v.data(), in.data(), in.size());
    return v;
  }
};

// A header of a fixed type followed by any number of bytes: images, audio, packets. A view: valid as long as its handler runs.
template <class Header>
class Block {
 public:
  static_assert(std::is_trivially_copyable_v<Header> && alignof(Header) <= 64, "puma: a Block's header is a plain struct");
  static constexpr size_t kTailOffset = (sizeof(Header) + 63) / 64 * 64;
  Block(const Header* header, Bytes tail) : header_(header), tail_(tail) {}
  const Header* operator->() const { return header_; }
  const Header& header() const { return *header_; }
  Bytes bytes() const { return tail_; }

 private:
  const Header* header_;
  Bytes tail_;
};
template <class T>
struct IsBlock : std::false_type {};
template <class H>
struct IsBlock<Block<H>> : std::true_type {
  using Header = H;
};
template <class H>
struct Codec<Block<H>>;  // a view; it has Publisher::Loan instead

template <class T>
concept Encodable = requires(const T& v, MutableBytes out, Bytes in) {
  { Codec<T>::Size(v) } -> std::convertible_to<size_t>;
  Codec<T>::Encode(v, out);
  { Codec<T>::Decode(in) } -> std::same_as<absl::StatusOr<T>>;
};
template <class T>
concept CrossesProcesses = Encodable<T> || IsBlock<T>::value;

// No codec: its values travel between threads of one process only, as objects that have one owner at a time.
template <class T>
concept ThreadOnly = !CrossesProcesses<T> && std::is_object_v<T> && !internal::IsHandle<T>;

// How the bytes of a T are to be read by who doesn't have the type, a tap for one: the JSON of puma.v1.PayloadSchema, by a static Json().
// Optional: <puma/describe.h> has it for structs that name their fields, <puma/protobuf.h> for messages.
template <class T>
struct Schema;

namespace internal {
using SchemaFunction = std::string (*)();
// Of a Block: of its header; of a vector: of each element.
template <class T>
struct SchemaOf {
  static constexpr SchemaFunction Get() {
    if constexpr (requires { Schema<T>::Json(); }) {
      return &Schema<T>::Json;
    } else {
      return nullptr;
    }
  }
};
template <class H>
struct SchemaOf<Block<H>> : SchemaOf<H> {};
template <class T>
struct SchemaOf<std::vector<T>> : SchemaOf<T> {};
}  // namespace internal

// How the runtime knows a type without its definition.
struct TypeInfo {
  const std::type_info* id;
  size_t fixed_size;                          // 0: its messages have sizes of their own
  size_t alignment;                           // that reading in place needs
  void (*destroy)(void*) = nullptr;           // thread-only: what travels is a pointer to an object that the one who takes it destroys
  internal::SchemaFunction schema = nullptr;  // null: its bytes don't explain themselves
  std::string name() const { return internal::Demangle(id->name()); }
  template <class T>
  static TypeInfo Of() {
    if constexpr (IsBlock<T>::value) {
      return {&typeid(T), 0, alignof(typename IsBlock<T>::Header), nullptr, internal::SchemaOf<T>::Get()};
    } else if constexpr (ThreadOnly<T>) {
      return {&typeid(T), sizeof(T*), alignof(T*), [](void* object) { delete static_cast<T*>(object); }};
    } else if constexpr (Codec<T>::kInPlace) {
      return {&typeid(T), sizeof(T), alignof(T), nullptr, internal::SchemaOf<T>::Get()};
    } else {
      return {&typeid(T), 0, 1, nullptr, internal::SchemaOf<T>::Get()};
    }
  }
};

// What is known of a message beside its value. A handler takes it as its second argument.
struct Message {
  uint64_t sequence = 0;  // its number in its lane
  uint64_t lane = 0;
  uint32_t epoch = 0;        // incarnation of its publisher
  uint64_t publisher = 0;    // uid of the task that published it
  uint64_t delivery = 1;     // how often it was handed to this subscription, this time included; of held ones, at least so often
  bool redelivered = false;  // delivery > 1, or it was made while its cause was handled for a second time: it may be a duplicate
  uint64_t missed = 0;       // lossy buffers: how many messages were overwritten before this one
  int64_t published_ns = 0;  // PrecisionTimestamp's clock
  uint64_t cause_lane = 0, cause_number = 0;  // the message in whose handler it was published; lane 0: none
  uint32_t cause_epoch = 0;
  std::string_view port;  // the input it came by
};

namespace internal {

struct Received {
  Message message;
  Bytes bytes;
  mutable bool undecodable = false;  // set by WithValue: the message is at fault, not the handler
};

template <class F>
absl::Status AsStatus(F&& f) {
  if constexpr (std::is_void_v<decltype(f())>) {
    f();
    return absl::OkStatus();
  } else {
    return f();
  }
}

template <class T, class F>
absl::Status WithValue(const Received& r, F&& f) {
  if constexpr (!CrossesProcesses<T> && !ThreadOnly<T>) {
    return absl::OkStatus();  // whoever declares such a port or buffer is refused
  } else if constexpr (ThreadOnly<T>) {
    T* object;
    std::memcpy(&object, r.bytes.data(), sizeof(void*));
    return f(std::move(*object));
  } else if constexpr (IsBlock<T>::value) {
    using H = typename IsBlock<T>::Header;
    if (r.bytes.size() < T::kTailOffset) {
      r.undecodable = true;
      return WrongSize(typeid(T), r.bytes.size(), T::kTailOffset);
    }
    return f(T(reinterpret_cast<const H*>(r.bytes.data()), r.bytes.subspan(T::kTailOffset)));
  } else if constexpr (Codec<T>::kInPlace) {
    if (r.bytes.size() != sizeof(T)) {
      r.undecodable = true;
      return WrongSize(typeid(T), r.bytes.size(), sizeof(T));
    }
    return f(*reinterpret_cast<const T*>(r.bytes.data()));
  } else {
    auto v = Codec<T>::Decode(r.bytes);
    if (!v.ok()) {
      r.undecodable = true;
      return v.status();
    }
    return f(*std::move(v));
  }
}

}  // namespace internal
}  // namespace puma
#endif  // PUMA_CODEC_H_
