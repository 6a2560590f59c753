#ifndef PUMA_PROTOBUF_H_
#define PUMA_PROTOBUF_H_
// Optional: protobuf messages as values. Who includes it links protobuf; libpuma does not.
#include <google/protobuf/message_lite.h>

#include <concepts>

#include "puma/codec.h"

namespace puma {

template <class T>
requires(std::derived_from<T, google::protobuf::MessageLite>) struct Codec<T> {
  static constexpr bool kInPlace = false;
  static size_t Size(const T& v) { return v.ByteSizeLong(); }
  static void Encode(const T& v, MutableBytes out) { v.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(out.data())); }
  static absl::StatusOr<T> Decode(Bytes in) {
    T v;
    if (v.ParseFromArray(in.data(), static_cast<int>(in.size()))) return v;
    return DataLoss("these bytes are no " + v.GetTypeName());
  }
};

}  // namespace puma
#endif  // PUMA_PROTOBUF_H_
