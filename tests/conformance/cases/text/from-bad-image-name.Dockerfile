#: fails 2 invalid reference format: repository name \(library/Busy\) must be
FROM Busy:Box:Latest
