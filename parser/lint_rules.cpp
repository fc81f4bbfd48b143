// The checks there are. Names and pages are BuildKit's; the descriptions are ours.
#include "parser/lint.hpp"

#define LADE_RULE_PAGE "https://docs.docker.com/go/dockerfile/rule/"

namespace lade::parser::rules {

const LintRule kStageNameCasing{"StageNameCasing", "stage names are best written in lower case",
                                LADE_RULE_PAGE "stage-name-casing/"};
const LintRule kFromAsCasing{"FromAsCasing", "FROM and AS are best written in the same case",
                             LADE_RULE_PAGE "from-as-casing/"};
const LintRule kNoEmptyContinuation{
    "NoEmptyContinuation",
    "an empty line inside of a continued instruction will be an error one day",
    LADE_RULE_PAGE "no-empty-continuation/"};
const LintRule kConsistentInstructionCasing{
    "ConsistentInstructionCasing",
    "all instructions of a Dockerfile are best written in one case, upper or lower",
    LADE_RULE_PAGE "consistent-instruction-casing/"};
const LintRule kDuplicateStageName{"DuplicateStageName",
                                   "of several stages with one name only the last can be named",
                                   LADE_RULE_PAGE "duplicate-stage-name/"};
const LintRule kReservedStageName{"ReservedStageName",
                                  "a stage cannot be reached by a name that means something else",
                                  LADE_RULE_PAGE "reserved-stage-name/"};
const LintRule kJsonArgsRecommended{
    "JSONArgsRecommended",
    "a command in JSON form gets signals itself, without a shell in between that swallows them",
    LADE_RULE_PAGE "json-args-recommended/"};
const LintRule kMaintainerDeprecated{"MaintainerDeprecated",
                                     "an image's author belongs into a label, not MAINTAINER",
                                     LADE_RULE_PAGE "maintainer-deprecated/"};
const LintRule kUndefinedArgInFrom{"UndefinedArgInFrom",
                                   "FROM knows only variables of ARGs declared before it",
                                   LADE_RULE_PAGE "undefined-arg-in-from/"};
const LintRule kWorkdirRelativePath{
    "WorkdirRelativePath",
    "a relative WORKDIR with no absolute one before it depends on what the base image has set",
    LADE_RULE_PAGE "workdir-relative-path/"};
const LintRule kUndefinedVar{"UndefinedVar", "a variable is best declared before it is used",
                             LADE_RULE_PAGE "undefined-var/"};
const LintRule kMultipleInstructionsDisallowed{
    "MultipleInstructionsDisallowed",
    "of several CMD, ENTRYPOINT or HEALTHCHECK in a stage only the last counts",
    LADE_RULE_PAGE "multiple-instructions-disallowed/"};
const LintRule kLegacyKeyValueFormat{"LegacyKeyValueFormat",
                                     "keys and values are best joined by \"=\"",
                                     LADE_RULE_PAGE "legacy-key-value-format/"};
const LintRule kInvalidBaseImagePlatform{
    "InvalidBaseImagePlatform", "the base image is for another platform than the one built for",
    ""};
const LintRule kRedundantTargetPlatform{"RedundantTargetPlatform",
                                        "FROM uses the target's platform without being told",
                                        LADE_RULE_PAGE "redundant-target-platform/"};
const LintRule kSecretsUsedInArgOrEnv{
    "SecretsUsedInArgOrEnv",
    "values of ARG and ENV can be read in the image; secrets belong into secret mounts",
    LADE_RULE_PAGE "secrets-used-in-arg-or-env/"};
const LintRule kInvalidDefaultArgInFrom{
    "InvalidDefaultArgInFrom", "with the defaults of its ARGs alone the base image has no name",
    LADE_RULE_PAGE "invalid-default-arg-in-from/"};
const LintRule kFromPlatformFlagConstDisallowed{
    "FromPlatformFlagConstDisallowed",
    "a constant --platform keeps a stage from being built for another one",
    LADE_RULE_PAGE "from-platform-flag-const-disallowed/"};
const LintRule kCopyIgnoredFile{"CopyIgnoredFile",
                                "what .dockerignore excludes cannot be copied from the context",
                                LADE_RULE_PAGE "copy-ignored-file/"};
const LintRule kInvalidDefinitionDescription{
    "InvalidDefinitionDescription",
    "a comment right above FROM or ARG is its description if it begins with the name; put an empty "
    "comment in between if it is meant otherwise",
    LADE_RULE_PAGE "invalid-definition-description/", true};
const LintRule kExposeProtoCasing{"ExposeProtoCasing",
                                  "protocols of EXPOSE are best written in lower case",
                                  LADE_RULE_PAGE "expose-proto-casing/"};
const LintRule kExposeInvalidFormat{
    "ExposeInvalidFormat",
    "addresses and host ports mean nothing to EXPOSE and will be an error one day",
    LADE_RULE_PAGE "expose-invalid-format/"};

}  // namespace lade::parser::rules
