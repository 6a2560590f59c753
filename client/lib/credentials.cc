#include "client/lib/credentials.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace puma::client {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path, const char* what) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) return absl::ErrnoToStatus(errno == 0 ? EIO : errno, absl::StrCat("can't read ", what, " ", path));
  return text.str();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsOf(const Options::Tls& tls) {
  if (tls.ca.empty()) return absl::InvalidArgumentError("TLS needs the file of the authority that the host's certificate comes from");
  if (tls.certificate.empty() != tls.key.empty())
    return absl::InvalidArgumentError("a certificate and its key are given together, or not at all");
  grpc::SslCredentialsOptions pem;
  absl::StatusOr<std::string> text = ReadFile(tls.ca, "the host's authority");
  if (!text.ok()) return text.status();
  pem.pem_root_certs = *std::move(text);
  if (tls.certificate.empty()) return grpc::SslCredentials(pem);
  text = ReadFile(tls.certificate, "the certificate");
  if (!text.ok()) return text.status();
  pem.pem_cert_chain = *std::move(text);
  text = ReadFile(tls.key, "the key");
  if (!text.ok()) return text.status();
  pem.pem_private_key = *std::move(text);
  return grpc::SslCredentials(pem);
}

}  // namespace

absl::StatusOr<Credentials> ReadCredentials(const std::string& target, const Options& options) {
  const bool is_unix = absl::StartsWith(target, "unix:");
  Credentials credentials{grpc::InsecureChannelCredentials(), ""};
  if (options.tls.has_value()) {
    if (is_unix) return absl::InvalidArgumentError(absl::StrCat("TLS is for HOST:PORT, not for the Unix socket ", target));
    auto tls = TlsOf(*options.tls);
    if (!tls.ok()) return tls.status();
    credentials.channel = *std::move(tls);
  }
  if (options.token_file.empty()) return credentials;
  if (!is_unix && !options.tls.has_value())
    return absl::InvalidArgumentError(absl::StrCat("a token would go to ", target, " in clear text; use TLS, or a Unix socket"));
  absl::StatusOr<std::string> token = ReadFile(options.token_file, "the token");
  if (!token.ok()) return token.status();
  const absl::string_view stripped = absl::StripAsciiWhitespace(*token);
  if (stripped.empty()) return absl::InvalidArgumentError(absl::StrCat(options.token_file, " holds no token"));
  credentials.authorization = absl::StrCat("Bearer ", stripped);
  return credentials;
}

}  // namespace puma::client
