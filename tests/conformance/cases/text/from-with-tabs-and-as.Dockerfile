FROM	busybox	as	base
FROM base
