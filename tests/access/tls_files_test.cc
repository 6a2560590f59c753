#include "server/access/tls_files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/access/certificates.h"
#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

using ::testing::HasSubstr;

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TlsFilesTest : public ::testing::Test {
 protected:
  TlsFilesTest() { Put(authority_.Issue("DNS:host")); }
  void Put(const Pair& pair) {
    WriteFile(paths_.certificate, pair.certificate);
    WriteFile(paths_.key, pair.key);
    WriteFile(paths_.client_ca, authority_.certificate());
  }
  absl::Status Open() {
    auto opened = TlsFiles::Open(paths_, directory_.File("copies"));
    if (opened.ok()) files_ = *std::move(opened);
    return opened.status();
  }
  // As the host does, once a second: the second look finds the files still.
  std::optional<absl::Status> Refresh() {
    files_->Refresh(absl::Now());
    return files_->Refresh(absl::Now());
  }
  std::string Served() const { return TextOf(files_->copies().certificate); }

  const Authority authority_{"authority"};
  TemporaryDirectory directory_;
  const TlsPaths paths_{directory_.File("host.pem"), directory_.File("host.key"), directory_.File("ca.pem")};
  std::unique_ptr<TlsFiles> files_;
};

TEST_F(TlsFilesTest, CopiesArePrivateAndWhatTheFilesAre) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Served(), TextOf(paths_.certificate));
  EXPECT_EQ(TextOf(files_->copies().key), TextOf(paths_.key));
  EXPECT_EQ(TextOf(files_->copies().client_ca), authority_.certificate());
  struct stat info {};
  ASSERT_EQ(stat((directory_.File("copies")).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_FALSE(files_->Refresh(absl::Now()).has_value()) << "nothing has changed";
}

TEST_F(TlsFilesTest, ANewPairIsTakenWhenItIsStill) {
  ASSERT_TRUE(Open().ok());
  const Pair next = authority_.Issue("DNS:host");
  Put(next);
  EXPECT_FALSE(files_->Refresh(absl::Now()).has_value()) << "perhaps somebody is still writing";
  const std::optional<absl::Status> taken = files_->Refresh(absl::Now());
  ASSERT_TRUE(taken.has_value());
  EXPECT_TRUE(taken->ok()) << *taken;
  EXPECT_EQ(Served(), next.certificate);
  EXPECT_FALSE(Refresh().has_value());
}

TEST_F(TlsFilesTest, WhatIsBrokenIsToldOnceAndTheLastGoodOneStays) {
  ASSERT_TRUE(Open().ok());
  const std::string good = Served();
  const Pair other = authority_.Issue("DNS:host"), late = authority_.Issue("DNS:host", absl::Now() - absl::Hours(1));
  const Pair broken[] = {{"nonsense", other.key},
                         {other.certificate, authority_.Issue("DNS:host").key},
                         {other.certificate, "nonsense"},
                         {other.certificate.substr(0, 200), other.key},
                         late,
                         {"", ""}};
  for (const Pair& pair : broken) {
    Put(pair);
    const std::optional<absl::Status> refused = Refresh();
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(refused->code(), absl::StatusCode::kInvalidArgument) << *refused;
    EXPECT_EQ(Served(), good);
    EXPECT_FALSE(Refresh().has_value()) << "it is told once";
  }
  std::filesystem::remove(paths_.key);
  EXPECT_FALSE(Refresh()->ok());
  EXPECT_EQ(Served(), good);
  Put(other);
  EXPECT_TRUE(Refresh()->ok());
  EXPECT_EQ(Served(), other.certificate);
}

TEST_F(TlsFilesTest, ManyRotationsLeaveTwoCopies) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 20; ++i) {
    Put(authority_.Issue("DNS:host"));
    ASSERT_TRUE(Refresh()->ok());
  }
  size_t copies = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.File("copies"))) copies += !entry.is_symlink();
  EXPECT_EQ(copies, 2u);
}

TEST_F(TlsFilesTest, AKeyThatOthersCanReadIsRefusedWithTheCure) {
  ASSERT_EQ(chmod(paths_.key.c_str(), 0644), 0);
  const absl::Status refused = Open();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("chmod o-r " + paths_.key));
}

TEST_F(TlsFilesTest, AMissingFileIsNamed) {
  std::filesystem::remove(paths_.client_ca);
  const absl::Status refused = Open();
  EXPECT_EQ(refused.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(paths_.client_ca));
}

}  // namespace
}  // namespace puma::server
