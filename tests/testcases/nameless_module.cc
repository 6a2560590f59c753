// A shared object that is no module.
extern "C" int forty_two() { return 42; }
