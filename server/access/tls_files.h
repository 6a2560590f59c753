#ifndef PUMA_SERVER_ACCESS_TLS_FILES_H_
#define PUMA_SERVER_ACCESS_TLS_FILES_H_
// The host's certificate, its key, and the authorities of its clients. gRPC watches files and serves nobody once they don't fit together;
// so it watches copies, and only what was found to be right becomes a copy, all of it at once.
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/file_stamp.h"

namespace puma::server {

struct TlsPaths {
  std::string certificate;  // PEM: the host's own, then those between it and an authority
  std::string key;          // PEM, without a passphrase; only its owner may read it
  std::string client_ca;    // PEM: authorities that clients' certificates come from
};

// INVALID_ARGUMENT: they are no PEM, don't fit together, or are not valid at `now`.
absl::Status CheckTls(const std::string& certificate, const std::string& key, const std::string& client_ca, absl::Time now);

// Thread-compatible.
class TlsFiles {
 public:
  // Copies go to `directory`, which is this object's alone, and is emptied first. Errors: as CheckTls; FAILED_PRECONDITION: others can read
  // the key or write any of the files; NOT_FOUND.
  static absl::StatusOr<std::unique_ptr<TlsFiles>> Open(const TlsPaths& paths, const std::string& directory);

  // The copies, by paths that stay the same.
  TlsPaths copies() const;

  // Looks whether a file has changed. Nothing: none has, or all of them only now (they are looked at again when they have been still for
  // one call). An error (as in Open): the copies stay as they are. OK: the copies are new.
  std::optional<absl::Status> Refresh(absl::Time now);

 private:
  TlsFiles(TlsPaths paths, std::string directory) : paths_(std::move(paths)), directory_(std::move(directory)) {}
  struct Stamps {
    FileStamp certificate, key, client_ca;
    bool operator==(const Stamps&) const = default;
  };
  Stamps Look() const;
  absl::Status Publish(absl::Time now);

  const TlsPaths paths_;
  const std::string directory_;
  Stamps read_, seen_;  // of what was read last; of what was there at the last look
  int generation_ = 0;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_ACCESS_TLS_FILES_H_
