// What was acknowledged survives kill -9 of the host, whole: a child commits and says so on a pipe, and is killed in the middle.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "server/journal/journal.h"
#include "tests/journal/temporary_directory.h"

namespace puma::server {
namespace {

constexpr int kKills = 25;

// Never returns: commits numbers, each with a request row, and writes a number to `out` once it is acknowledged.
[[noreturn]] void CommitForEver(const std::string& path, int64_t first, int out) {
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(path, [](const std::string&) { _exit(3); });
  if (!journal.ok()) _exit(4);
  for (int64_t i = first;; ++i) {
    absl::StatusOr<uint64_t> uid = (*journal)->NewUid();
    if (!uid.ok()) _exit(5);
    JournalChange change;
    change.put_tasks = {{.uid = *uid, .name = "task", .run = i}};
    change.put_requests = {{"request-" + std::to_string(i), "", std::to_string(*uid), INT64_MAX}};
    const int64_t said[2] = {i, static_cast<int64_t>(*uid)};
    (*journal)->Commit(std::move(change), [out, said](absl::Status status) {
      if (!status.ok() || write(out, said, sizeof said) != sizeof said) _exit(6);
    });
    if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(JournalKill, EveryAcknowledgedChangeSurvivesKill) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  TemporaryDirectory directory;
  const std::string path = directory.File("journal.db");
  std::map<int64_t, uint64_t> acknowledged;  // number to uid
  int64_t next = 1;
  for (int kill_number = 0; kill_number < kKills; ++kill_number) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      CommitForEver(path, next, ends[1]);
    }
    ASSERT_GT(child, 0) << "fork";  // kill(-1) would end every process
    close(ends[1]);
    const size_t wanted = acknowledged.size() + 1 + random() % 200;
    int64_t said[2];
    while (read(ends[0], said, sizeof said) == sizeof said) {
      ASSERT_TRUE(acknowledged.emplace(said[0], static_cast<uint64_t>(said[1])).second);
      if (acknowledged.size() == wanted) kill(child, SIGKILL);
    }
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);

    absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(path, [](const std::string& text) { ADD_FAILURE() << text; });
    ASSERT_TRUE(journal.ok()) << journal.status();
    absl::StatusOr<JournalSnapshot> all = (*journal)->Load();
    ASSERT_TRUE(all.ok()) << all.status();
    std::map<int64_t, uint64_t> tasks;
    for (const TaskRow& row : all->tasks) ASSERT_TRUE(tasks.emplace(row.run, row.uid).second);
    for (auto [number, uid] : acknowledged) ASSERT_EQ(tasks[number], uid) << "number " << number << " was acknowledged";
    ASSERT_EQ(all->requests.size(), all->tasks.size()) << "a change is there as a whole or not at all";
    ASSERT_EQ(tasks.rbegin()->first, static_cast<int64_t>(tasks.size())) << "in the order of the calls, without holes";
    for (auto [number, uid] : tasks) acknowledged.emplace(number, uid);  // written, but killed before it was said
    next = tasks.rbegin()->first + 1;
  }
}

}  // namespace
}  // namespace puma::server
