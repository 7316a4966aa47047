#include <cstdio>

#include "client/client.h"
#include "counter.h"

// Counts up one counter and reads it. Run it twice with the same id: it counts once.
int main(int argc, char** argv) {
  const char* server = argc > 1 ? argv[1] : "127.0.0.1:7400";
  const char* id = argc > 2 ? argv[2] : "first";
  auto client = afdg::Client::connect(server);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().text().c_str());
    return 4;
  }
  auto page = client->grid("counters").agent<Counter>("home-page");

  counter::Add add;
  add.set_by(5);
  auto total = page.request(add, {.request_id = id});  // durable when it returns
  if (!total) {
    std::fprintf(stderr, "%s\n", total.error().text().c_str());
    return 1;
  }
  add.set_by(-1);
  auto refused = page.request(add);  // the handler's own words
  std::printf("value %ld after %ld turns; by -1: %s\n", static_cast<long>(total->value()),
              static_cast<long>(total->times()), refused ? "taken" : refused.error().text().c_str());
  return 0;
}
