#include "client/cli/commands.h"

int main(int argc, char** argv) { return puma::client::RunCommandLine(argc, argv); }
