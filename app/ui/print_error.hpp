#pragma once

namespace lade {

class Error;

/// Prints an Error as people should see it: excerpt of the file, message, hint.
void print_error(const Error& error);

}  // namespace lade
