FROM onbuild-from
# It needs: other
