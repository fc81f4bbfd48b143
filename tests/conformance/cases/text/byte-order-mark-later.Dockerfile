#: fails 3 unknown instruction: '﻿RUN'
FROM busybox
﻿RUN true
