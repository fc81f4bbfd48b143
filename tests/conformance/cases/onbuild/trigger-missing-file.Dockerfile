#: fails 2 "/hello\.txt" not found in the build context
FROM onbuild
