#include "server/node.h"

int main(int argc, char** argv) { return afdg::Node(argc, argv).run(); }
