#pragma once

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

extern char** environ;

// Runs programs, and keeps what they say.
namespace afdg::client::cli::testing {

struct Ran {
  int exit = -1;
  std::string out;
  std::string err;
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out); }
};

inline std::string slurp(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  return text;
}

struct Started {
  pid_t pid = 0;
  std::FILE* in = nullptr;
  std::FILE* out = nullptr;
  std::FILE* err = nullptr;
};

inline Started start_program(std::vector<std::string> words, const std::string& input = {}) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  Started run{0, std::tmpfile(), std::tmpfile(), std::tmpfile()};
  std::fwrite(input.data(), 1, input.size(), run.in);
  std::fflush(run.in);
  std::rewind(run.in);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, fileno(run.in), 0);
  posix_spawn_file_actions_adddup2(&files, fileno(run.out), 1);
  posix_spawn_file_actions_adddup2(&files, fileno(run.err), 2);
  EXPECT_EQ(posix_spawnp(&run.pid, argv[0], &files, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  return run;
}

inline Ran finish(const Started& run) {
  int status = 0;
  waitpid(run.pid, &status, 0);
  std::fclose(run.in);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(run.out), slurp(run.err)};
}

inline Ran run_program(std::vector<std::string> words, const std::string& input = {}) {
  return finish(start_program(std::move(words), input));
}

}  // namespace afdg::client::cli::testing
