#ifndef PUMA_PROTOBUF_H_
#define PUMA_PROTOBUF_H_
// Optional: protobuf messages as values. Who includes it links protobuf; libpuma does not.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>

#include <concepts>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
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

namespace internal {
// Those that it imports first.
inline void AddFile(const google::protobuf::FileDescriptor& file, std::set<std::string>& added,
                    google::protobuf::FileDescriptorSet& files) {
  if (!added.insert(file.name()).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), added, files);
  file.CopyTo(files.add_file());
}
}  // namespace internal

// A tap shows their fields. (Messages of the lite runtime know nothing of theirs.)
template <class T>
requires(std::derived_from<T, google::protobuf::Message>) struct Schema<T> {
  static std::string Json() {
    const google::protobuf::Descriptor& type = *T::descriptor();
    google::protobuf::FileDescriptorSet files;
    std::set<std::string> added;
    internal::AddFile(*type.file(), added, files);
    return R"({"protobuf":{"message":")" + type.full_name() + R"(","descriptors":")" + absl::Base64Escape(files.SerializeAsString()) +
           R"("}})";
  }
};

}  // namespace puma
#endif  // PUMA_PROTOBUF_H_
