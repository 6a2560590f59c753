#include "server/access/tls_files.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/config/trusted_path.h"

namespace puma::server {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, Free>;

std::unique_ptr<BIO, Free> Reader(const std::string& text) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<Certificate> Certificates(const std::string& pem) {
  std::vector<Certificate> all;
  const auto reader = Reader(pem);
  while (X509* next = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) all.emplace_back(next);
  return all;
}

// Never asks anybody at a terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

std::string SubjectOf(const X509& certificate) {
  char name[256];
  X509_NAME_oneline(X509_get_subject_name(&certificate), name, sizeof(name));
  return name;
}

absl::Status CheckDates(const std::string& what, const X509& certificate, absl::Time now) {
  time_t at = absl::ToTimeT(now);
  if (X509_cmp_time(X509_get0_notAfter(&certificate), &at) <= 0)
    return absl::InvalidArgumentError(absl::StrCat(what, " ", SubjectOf(certificate), " has expired; give a new one"));
  if (X509_cmp_time(X509_get0_notBefore(&certificate), &at) > 0)
    return absl::InvalidArgumentError(absl::StrCat(what, " ", SubjectOf(certificate), " is not valid yet"));
  return absl::OkStatus();
}

absl::Status Write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file ? absl::OkStatus() : absl::UnavailableError(absl::StrCat(path.string(), " can't be written"));
}

}  // namespace

absl::Status CheckTls(const std::string& certificate, const std::string& key, const std::string& client_ca, absl::Time now) {
  const std::vector<Certificate> chain = Certificates(certificate), authorities = Certificates(client_ca);
  if (chain.empty()) return absl::InvalidArgumentError("the file of the host's certificate holds no certificate (PEM)");
  if (authorities.empty()) return absl::InvalidArgumentError("the file of the clients' authorities holds no certificate (PEM)");
  const std::unique_ptr<EVP_PKEY, Free> own(PEM_read_bio_PrivateKey(Reader(key).get(), nullptr, NoPassphrase, nullptr));
  if (!own) return absl::InvalidArgumentError("the key's file holds no private key (PEM), or one with a passphrase");
  if (X509_check_private_key(chain.front().get(), own.get()) != 1)
    return absl::InvalidArgumentError(absl::StrCat("the key is not that of the host's certificate ", SubjectOf(*chain.front())));
  return CheckDates("the host's certificate", *chain.front(), now);
}

absl::StatusOr<std::unique_ptr<TlsFiles>> TlsFiles::Open(const TlsPaths& paths, const std::string& directory) {
  std::error_code error;
  fs::remove_all(directory, error);
  if (fs::create_directories(directory, error); error)
    return absl::UnavailableError(absl::StrCat("directory ", directory, ": ", error.message()));
  fs::permissions(directory, fs::perms::owner_all, error);
  auto files = absl::WrapUnique(new TlsFiles(paths, directory));
  files->seen_ = files->Look();
  if (absl::Status published = files->Publish(absl::Now()); !published.ok()) return published;
  return files;
}

TlsPaths TlsFiles::copies() const {
  const std::string current = absl::StrCat(directory_, "/current/");
  return {current + "certificate.pem", current + "key.pem", current + "client_ca.pem"};
}

TlsFiles::Stamps TlsFiles::Look() const {
  return {FileStamp::Of(paths_.certificate), FileStamp::Of(paths_.key), FileStamp::Of(paths_.client_ca)};
}

std::optional<absl::Status> TlsFiles::Refresh(absl::Time now) {
  const Stamps stamps = Look();
  if (stamps == read_) return std::nullopt;
  if (std::exchange(seen_, stamps) != stamps) return std::nullopt;  // who writes them is still at it
  return Publish(now);
}

absl::Status TlsFiles::Publish(absl::Time now) {
  read_ = Look();
  constexpr char kWhat[] = "TLS";
  const absl::StatusOr<std::string> certificate = ReadTrusted(kWhat, paths_.certificate), key = ReadTrusted(kWhat, paths_.key),
                                    client_ca = ReadTrusted(kWhat, paths_.client_ca);
  for (const auto* text : {&certificate, &key, &client_ca}) {
    if (!text->ok()) return text->status();
  }
  struct stat info {};
  if (stat(paths_.key.c_str(), &info) != 0 || (info.st_mode & S_IROTH) != 0)
    return absl::FailedPreconditionError(absl::StrCat("TLS: everyone can read ", paths_.key, ". Fix it: chmod o-r ", paths_.key));
  if (absl::Status fits = CheckTls(*certificate, *key, *client_ca, now); !fits.ok())
    return absl::InvalidArgumentError(
        absl::StrCat("TLS: ", std::string(fits.message()), " (", paths_.certificate, ", ", paths_.key, ", ", paths_.client_ca, ")"));

  // A directory each time, and one name that changes from the last to the new one at once.
  const fs::path fresh = fs::path(directory_) / std::to_string(++generation_), current = fs::path(directory_) / "current",
                 next = fs::path(directory_) / "next";
  std::error_code error;
  fs::create_directory(fresh, error);
  for (const auto& [name, text] : {std::pair{"certificate.pem", &certificate}, {"key.pem", &key}, {"client_ca.pem", &client_ca}}) {
    if (absl::Status written = Write(fresh / name, **text); !written.ok()) return written;
  }
  fs::remove(next, error);
  fs::create_directory_symlink(fresh.filename(), next, error);
  if (!error) fs::rename(next, current, error);
  if (error) return absl::UnavailableError(absl::StrCat(current.string(), ": ", error.message()));
  fs::remove_all(fs::path(directory_) / std::to_string(generation_ - 2), error);  // the one before may be being read
  return absl::OkStatus();
}

}  // namespace puma::server
