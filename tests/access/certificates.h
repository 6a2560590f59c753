#ifndef PUMA_TESTS_ACCESS_CERTIFICATES_H_
#define PUMA_TESTS_ACCESS_CERTIFICATES_H_
// Authorities and certificates, made for a test.
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace puma::server {

struct Pair {
  std::string certificate, key;  // PEM
};

// What comes from it is verified by its certificate. Thread-compatible.
class Authority {
 public:
  explicit Authority(const std::string& name);
  ~Authority();
  const std::string& certificate() const { return certificate_; }
  // `names` as OpenSSL writes them: "URI:spiffe://plant/robot,DNS:host,IP:127.0.0.1"; "": none. Valid until `end`.
  Pair Issue(const std::string& names, absl::Time end = absl::Now() + absl::Hours(24)) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::string certificate_;
};

// Writes a private file, and all at once: a reader sees the old or the new one.
void WriteFile(const std::string& path, const std::string& text);

}  // namespace puma::server
#endif  // PUMA_TESTS_ACCESS_CERTIFICATES_H_
