from busybox as base
env A=1
run echo $A > /out
from busybox as final
copy --from=base /out /copy
workdir /w
cmd ["x"]
