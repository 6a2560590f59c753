#ifndef PUMA_WORKER_PLATFORM_BYTES_H_
#define PUMA_WORKER_PLATFORM_BYTES_H_
// Numbers and texts one after the other, for processes of one program that speak to each other: same machine, same build.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace puma {

class ByteWriter {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T> ByteWriter& Put(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  ByteWriter& PutText(std::string_view text) {
    Put(static_cast<uint64_t>(text.size()));
    bytes_.append(text);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// What is missing reads as zero or "", and ok() says so.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  requires std::is_trivially_copyable_v<T> T Get() {
    T value{};
    if (Has(sizeof value)) {
      std::memcpy(&value, rest_.data(), sizeof value);
      rest_.remove_prefix(sizeof value);
    }
    return value;
  }
  std::string_view GetText() {  // lies in what is read from
    const auto length = Get<uint64_t>();
    if (!Has(length)) return {};
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return text;
  }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  bool Has(uint64_t length) { return ok_ = ok_ && length <= rest_.size(); }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace puma
#endif  // PUMA_WORKER_PLATFORM_BYTES_H_
