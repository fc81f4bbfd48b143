FROM busybox
RUN for p in /proc/kcore /proc/keys /proc/timer_list /proc/sys /proc/irq /proc/bus /proc/fs /proc/sysrq-trigger /proc/acpi /proc/scsi /sys/firmware; do [ -e $p ] && { [ -d $p ] && ls $p 2>/dev/null | wc -l | sed "s|^|$p entries |" | grep -v ' [1-9]'; [ -w $p ] && echo "$p writable"; }; done > /out; true
