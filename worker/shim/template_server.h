#ifndef PUMA_WORKER_SHIM_TEMPLATE_SERVER_H_
#define PUMA_WORKER_SHIM_TEMPLATE_SERVER_H_
// The template's side of worker/shim/template.h, for puma-worker.

namespace puma::shim {

// True: go on as if this process had been exec'd with these arguments (it was, or it has been forked off just now). False: this process
// was a template, and is to end. To be called while there is one thread, and when all is done that all workers have in common.
bool ServeIfTemplate(int argc, char** argv);

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_TEMPLATE_SERVER_H_
