// The scripts know nothing of lade's options: they ask `lade __complete`.
#include "app/completion_scripts.hpp"

namespace lade {
namespace {

// bash cuts words at "=" and ":", too: what it replaces is the last such piece alone.
constexpr const char* kBash = R"(# bash completion for lade
_lade() {
  local line=${COMP_LINE:0:COMP_POINT} word=${COMP_LINE:0:COMP_POINT} piece=${COMP_WORDS[COMP_CWORD]} entry head
  word=${word##*[[:space:]]}
  [[ $piece == [=:] ]] && piece=
  head=${word%"$piece"}
  COMPREPLY=()
  while IFS= read -r entry; do
    case $entry in
      :files)
        compopt -o filenames 2>/dev/null
        while IFS= read -r entry; do COMPREPLY+=("$entry"); done < <(compgen -f -- "$piece") ;;
      :directories)
        compopt -o filenames 2>/dev/null
        while IFS= read -r entry; do COMPREPLY+=("$entry"); done < <(compgen -d -- "$piece") ;;
      :partial) compopt -o nospace 2>/dev/null ;;
      ?*)
        entry=${entry%%$'\t'*}
        COMPREPLY+=("${entry#"$head"}") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete line "$line" 2>/dev/null)
}
complete -F _lade lade
)";

constexpr const char* kZsh = R"(#compdef lade
# zsh completion for lade
_lade() {
  local -a answers words_found options
  local answer paths=
  answers=("${(@f)$(command ${words[1]} __complete words "${(@)words[1,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
  for answer in $answers; do
    case $answer in
      :files) paths=files ;;
      :directories) paths=directories ;;
      :partial) options=(-S '') ;;
      *$'\t'*) words_found+=("${${answer%%$'\t'*}//:/\\:}:${answer#*$'\t'}") ;;
      ?*) words_found+=("${answer//:/\\:}") ;;
    esac
  done
  [[ $paths == files ]] && { _files; return }
  [[ $paths == directories ]] && { _files -/; return }
  (( $#words_found )) && _describe -V lade words_found "${options[@]}"
}
if [[ $funcstack[1] == _lade ]]; then _lade "$@"; else compdef _lade lade; fi
)";

constexpr const char* kFish = R"(# fish completion for lade
function __lade_complete
  set -l words (commandline -opc)
  set -l word (commandline -ct)
  for answer in (command $words[1] __complete words $words $word 2>/dev/null)
    switch $answer
      case ':files'
        __fish_complete_path $word
      case ':directories'
        __fish_complete_directories $word
      case ':partial'
      case '*'
        echo $answer
    end
  end
end
complete -c lade -f -k -a '(__lade_complete)'
)";

}  // namespace

const char* completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return nullptr;
}

}  // namespace lade
