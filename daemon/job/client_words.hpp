// lade's messages in the words that BuildKit's clients, and scripts around them, look for.
#pragma once

#include <string>

#include "base/error.hpp"

namespace lade {

/// The message of an error for a client, with its hint.
std::string in_clients_words(const Error& error);

/// An error of reading a Dockerfile as such, which clients are told as one.
Error as_parse_error(const Error& error);

}  // namespace lade
