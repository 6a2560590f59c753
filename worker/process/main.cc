// puma-worker: exec'd by the shim with the descriptors of worker/shim/protocol.h.
#include <fcntl.h>
#include <puma/environment.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "worker/logging/crash_handler.h"
#include "worker/process/worker_process.h"
#include "worker/shim/template_server.h"

namespace {

puma::process::WorkerProcess* the_worker = nullptr;

// User code has called exit(): the host must learn whose code, and what was written.
void OnExit(int code, void*) {
  puma::logging::NoteCulprit(0);
  if (the_worker != nullptr) the_worker->Flush();
  _exit(code);
}

}  // namespace

int main(int argc, char** argv) {
  puma::Init(argc, argv);  // first, while there is one thread. A runner of a task's own is this program again, and ends in here
  if (!puma::shim::ServeIfTemplate(argc, argv)) return 0;
  for (int fd = puma::shim::kWorkerSocket; fd <= puma::shim::kWorkerStderr; ++fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      fprintf(stderr, "puma-worker is started by puma-shim, not by hand (descriptor %d is missing)\n", fd);
      return 2;
    }
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line that was written survives the process
  auto worker = puma::process::WorkerProcess::Create(
      {puma::UniqueFd(puma::shim::kWorkerSocket), puma::UniqueFd(puma::shim::kWorkerHostSegment),
       puma::UniqueFd(puma::shim::kWorkerDoorbell), puma::UniqueFd(puma::shim::kWorkerStdout), puma::UniqueFd(puma::shim::kWorkerStderr)});
  if (!worker.ok()) {
    fprintf(stderr, "puma-worker: %s\n", worker.status().ToString().c_str());
    return 1;
  }
  the_worker = worker->get();
  on_exit(OnExit, nullptr);
  const int code = the_worker->Serve();
  the_worker->Flush();
  _exit(code);  // threads of user code may still run: no destructors under them
}
