# check=error=true
#: fails - lint violation
from busybox AS One
run true
