// TCP on loopback, for the servers of tests.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace lade::test {

/// A socket bound to a free port of `address`, which `port` becomes.
UniqueFd bound_socket(const std::string& address, int& port);
/// Connected to "127.0.0.1:5000"; Error if nobody listens.
UniqueFd connected_socket(const std::string& host);
/// Up to and with the blank line behind a head; empty at the end of the connection.
std::string read_head(int fd);
/// False if the other side went away.
bool send_all(int fd, std::string_view bytes);
/// Ends the connection with a TCP reset; the descriptor stays open.
void reset_connection(int fd);

}  // namespace lade::test
