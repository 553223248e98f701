window.BENCHMARK_DATA = {
 "lastUpdate": 1727036804733,
 "repoUrl": "https://github.com/a/b",
 "entries": {
  "pytest": [
   {
    "commit": {
     "id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "message": "m",
     "timestamp": "2024-09-11T17:12:56Z",
     "url": ""
    },
    "date": 1726155465698,
    "tool": "pytest",
    "benches": [
     {
      "name": "tests/x.py::test_a[1]",
      "unit": "iter/sec",
      "value": 1.0
     }
    ]
   },
   {
    "commit": {
     "id": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
     "message": "m",
     "timestamp": "2024-09-11T17:12:56Z",
     "url": ""
    },
    "date": 1726155465999,
    "tool": "pytest",
    "benches": [
     {
      "name": "tests/x.py::test_a[1]",
      "unit": "iter/sec",
      "value": 2000.5,
      "range": "stddev: 0.1",
      "extra": "mean: 0.5 msec"
     }
    ]
   }
  ],
  "C++": [
   {
    "commit": {
     "id": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
     "message": "m",
     "timestamp": "2024-09-11T17:12:56Z",
     "url": ""
    },
    "date": 1726155465999,
    "tool": "googlecpp",
    "benches": [
     {
      "name": "fib",
      "unit": "ns/iter",
      "value": 198.0
     },
     {
      "name": "fib_mean",
      "unit": "ns/iter",
      "value": 197.0
     },
     {
      "name": "fib_cv",
      "unit": "ns/iter",
      "value": 0.02
     }
    ]
   }
  ]
 }
}