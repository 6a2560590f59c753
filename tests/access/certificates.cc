#include "tests/access/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace puma::server {
namespace {

// There is no test without it.
template <class T>
T Must(T value) {
  if (value) return value;
  std::fprintf(stderr, "certificates: OpenSSL can't\n");
  std::abort();
}

template <class Write>
std::string Pem(Write write) {
  BIO* memory = Must(BIO_new(BIO_s_mem()));
  Must(write(memory));
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}
std::string Pem(X509* certificate) {
  return Pem([&](BIO* to) { return PEM_write_bio_X509(to, certificate); });
}
std::string Pem(EVP_PKEY* key) {
  return Pem([&](BIO* to) { return PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

void AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = Must(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  Must(X509_add_ext(certificate, extension, -1));
  X509_EXTENSION_free(extension);
}

X509* Make(const std::string& name, EVP_PKEY* key, absl::Time end) {
  static std::atomic<long> serial{1};
  X509* certificate = Must(X509_new());
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  const time_t begin = absl::ToTimeT(std::min(absl::Now(), end) - absl::Hours(48)), until = absl::ToTimeT(end);
  ASN1_TIME_set(X509_getm_notBefore(certificate), begin);
  ASN1_TIME_set(X509_getm_notAfter(certificate), until);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()),
                             -1, -1, 0);
  return certificate;
}

}  // namespace

struct Authority::Parts {
  EVP_PKEY* key;
  X509* certificate;
};

Authority::Authority(const std::string& name) : parts_(std::make_unique<Parts>()) {
  parts_->key = Must(EVP_EC_gen("P-256"));
  parts_->certificate = Make(name, parts_->key, absl::Now() + absl::Hours(24));
  X509_set_issuer_name(parts_->certificate, X509_get_subject_name(parts_->certificate));
  AddExtension(parts_->certificate, parts_->certificate, NID_basic_constraints, "critical,CA:TRUE");
  Must(X509_sign(parts_->certificate, parts_->key, EVP_sha256()));
  certificate_ = Pem(parts_->certificate);
}

Authority::~Authority() {
  X509_free(parts_->certificate);
  EVP_PKEY_free(parts_->key);
}

Pair Authority::Issue(const std::string& names, absl::Time end) const {
  EVP_PKEY* key = Must(EVP_EC_gen("P-256"));
  X509* certificate = Make("test", key, end);
  X509_set_issuer_name(certificate, X509_get_subject_name(parts_->certificate));
  if (!names.empty()) AddExtension(certificate, parts_->certificate, NID_subject_alt_name, names);
  Must(X509_sign(certificate, parts_->key, EVP_sha256()));
  const Pair pair{Pem(certificate), Pem(key)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

void WriteFile(const std::string& path, const std::string& text) {
  const std::string next = path + ".next";
  std::ofstream(next) << text;
  Must(chmod(next.c_str(), 0600) == 0 && std::rename(next.c_str(), path.c_str()) == 0);
}

}  // namespace puma::server
