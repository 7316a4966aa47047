#include "process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace flights {
namespace {

std::vector<char*> arguments(const std::vector<std::string>& command) {
  std::vector<char*> pointers;
  for (const std::string& word : command) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  ::close(fd);
  return port;
}

Process::~Process() {
  if (pid_ > 0 && running()) end(SIGKILL);
}

afdg::Status Process::start(const std::vector<std::string>& command, const std::string& log) {
  log_ = log;
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return afdg::fail(afdg::Code::kIo, log + ": " + std::strerror(errno));
  struct stat info {};
  ::fstat(fd, &info);
  log_start_ = info.st_size;
  auto pointers = arguments(command);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::setpgid(0, 0);  // Ctrl-C in the terminal is for the demo
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(fd);
  if (pid_ < 0)
    return afdg::fail(afdg::Code::kIo, std::string("cannot start a process: ") + std::strerror(errno));
  return {};
}

std::string Process::output() const {
  std::ifstream file(log_);
  file.seekg(log_start_);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool Process::running() { return pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == 0; }

afdg::Status Process::wait_ready(std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    const std::string text = output();
    if (text.starts_with("ready") || text.find("\nready") != std::string::npos) return {};
    if (!running()) {
      pid_ = 0;
      return afdg::fail(afdg::Code::kUnavailable, "the server ended with exit code " +
                                                      std::to_string(exit_code(status_)) + ":\n" + text);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return afdg::fail(afdg::Code::kUnavailable, "the server was not ready in time:\n" + output());
}

int Process::end(int signal) {
  ::kill(pid_, signal);
  ::waitpid(pid_, &status_, 0);
  pid_ = 0;
  return exit_code(status_);
}

Finished run(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe(ends) != 0) return {127, std::strerror(errno)};
  auto pointers = arguments(command);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    output.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return {exit_code(status), output};
}

}  // namespace flights
