#include "server/config/module_catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ModuleCatalogueTest : public ::testing::Test {
 protected:
  void Touch(const std::string& name, mode_t mode = 0644) {
    std::ofstream(directory_.File(name)) << "x";
    ASSERT_EQ(chmod(directory_.File(name).c_str(), mode), 0);
  }
  absl::StatusOr<ModuleCatalogue> Open() { return ModuleCatalogue::Open({directory_.File("")}); }
  std::string OpenMessage() { return std::string(Open().status().message()); }
  TemporaryDirectory directory_;
};

TEST_F(ModuleCatalogueTest, ListsModulesByNameAndFindsTheirFiles) {
  for (const char* name : {"edges.so", "alpha_2.so", "README.md", "not-a-name.so"}) Touch(name);
  absl::StatusOr<ModuleCatalogue> catalogue = Open();
  ASSERT_TRUE(catalogue.ok()) << catalogue.status();
  EXPECT_THAT(catalogue->List(), ElementsAre("alpha_2", "edges"));
  EXPECT_EQ(*catalogue->Find("edges"), directory_.File("edges.so"));
}

TEST_F(ModuleCatalogueTest, AnEarlierDirectoryWins) {
  Touch("edges.so");
  TemporaryDirectory later;
  std::ofstream(later.File("edges.so")) << "y";
  std::ofstream(later.File("other.so")) << "y";
  absl::StatusOr<ModuleCatalogue> catalogue = ModuleCatalogue::Open({directory_.File(""), later.File("")});
  ASSERT_TRUE(catalogue.ok()) << catalogue.status();
  EXPECT_EQ(*catalogue->Find("edges"), directory_.File("edges.so"));
  EXPECT_THAT(catalogue->List(), ElementsAre("edges", "other"));
}

TEST_F(ModuleCatalogueTest, SuggestsWhenAModuleIsUnknown) {
  Touch("edges.so");
  const absl::Status status = Open()->Find("edgse").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("did you mean \"edges\"?"));
}

TEST_F(ModuleCatalogueTest, TakesNamesOnlyAndNeverPaths) {
  Touch("edges.so");
  absl::StatusOr<ModuleCatalogue> catalogue = Open();
  for (const char* name : {"", "../edges", "/etc/passwd", "edges.so", "a b", "1st", "é"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(catalogue->Find(name).status())) << name;
  }
}

TEST_F(ModuleCatalogueTest, RefusesADirectoryThatOthersCanWriteWithTheCommandThatFixesIt) {
  std::string path = directory_.File("");
  path.pop_back();
  ASSERT_EQ(chmod(path.c_str(), 0777), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(Open().status()));
  EXPECT_THAT(OpenMessage(), HasSubstr("chmod o-w " + path));
}

TEST_F(ModuleCatalogueTest, RefusesAModuleThatOthersCanWriteAlsoWhenThatCameLater) {
  Touch("edges.so");
  absl::StatusOr<ModuleCatalogue> catalogue = Open();
  ASSERT_TRUE(catalogue.ok());
  Touch("edges.so", 0666);
  EXPECT_TRUE(absl::IsFailedPrecondition(catalogue->Find("edges").status()));
  EXPECT_TRUE(catalogue->List().empty());
  EXPECT_THAT(OpenMessage(), HasSubstr("chmod o-w " + directory_.File("edges.so")));
}

TEST_F(ModuleCatalogueTest, RefusesADirectoryBelowOneThatOthersCanWrite) {
  const std::string above = directory_.File("above"), below = above + "/below";
  ASSERT_EQ(mkdir(above.c_str(), 0755), 0);
  ASSERT_EQ(mkdir(below.c_str(), 0755), 0);
  ASSERT_EQ(chmod(above.c_str(), 0777), 0);
  EXPECT_THAT(std::string(ModuleCatalogue::Open({below}).status().message()), HasSubstr("chmod o-w " + above));
  ASSERT_EQ(chmod(above.c_str(), 01777), 0);
  EXPECT_TRUE(ModuleCatalogue::Open({below}).ok()) << "a sticky directory protects what is in it";
}

TEST_F(ModuleCatalogueTest, RefusesFilesOfAnotherUserOrGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make them";
  Touch("edges.so");
  const std::string file = directory_.File("edges.so");
  ASSERT_EQ(chown(file.c_str(), 4242, 0), 0);
  EXPECT_THAT(OpenMessage(), HasSubstr("chown 0 " + file));
  ASSERT_EQ(chown(file.c_str(), 0, 4242), 0);
  EXPECT_TRUE(Open().ok());
  ASSERT_EQ(chmod(file.c_str(), 0664), 0);
  EXPECT_THAT(OpenMessage(), HasSubstr("chmod g-w " + file));
}

TEST_F(ModuleCatalogueTest, SaysWhichDirectoryIsMissing) {
  const absl::Status status = ModuleCatalogue::Open({directory_.File("nowhere")}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace puma::server
