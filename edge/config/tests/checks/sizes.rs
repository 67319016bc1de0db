//! Sizes and times out of range.

use crate::{assert_single_errors, errors_of};

#[test]
fn sizes_out_of_range_are_reported() {
    assert_single_errors(&[
        ("[http]\nmax_body = \"999999 TiB\"\n", "2:12", "from 1 KiB to 1 GiB, but is 999999 TiB"),
        ("[http]\nmax_body = \"99999999 TiB\"\n", "2:12", "a size such as \"64 MiB\""),
        ("[http]\nmax_body = 0\n", "2:12", "but is 0 bytes"),
        ("[http]\nmax_body = -1\n", "2:12", "a size such as \"64 MiB\""),
        ("[http.limits]\nconnections = 0\n", "2:15", "from 1 to 65535"),
        ("[http.limits]\nconnections_per_address = 70000\n", "2:27", "from 1 to 65535"),
        ("[http.limits]\nbody_memory = \"16 MiB\"\n", "2:15", "bodies of 16 MiB do not fit"),
        ("[http.limits]\nbody_memory = 0\n", "2:15", "from 4 KiB"),
        ("[http.limits]\nbody_min_rate = 0\n", "2:17", "but is 0 bytes"),
        ("[mqtt.broker]\nmax_packet = \"1 GiB\"\n", "2:14", "256 MiB"),
        ("[mqtt.broker]\nmax_packet = 100\n", "2:14", "but is 100 bytes"),
        ("[line]\nmemory = \"0\"\n", "2:10", "from 2 MiB to 4 GiB"),
        ("[line]\nqueue = 0\n", "2:9", "from 64 KiB"),
        ("[line]\nmax_batch = 0\n", "2:13", "from 1 to"),
        ("[log]\nsegment = 0\n", "2:11", "from 4 KiB"),
        ("[log]\nsegment = \"20 GiB\"\n", "2:11", "do not fit into the 10 GiB"),
        ("[log]\nretention_size = \"1 MiB\"\n", "2:18", "segments of 64 MiB"),
        ("[log]\nretention_age = \"0s\"\n", "2:17", "replayed"),
        ("[log]\ngroup_commit = \"1h\"\n", "2:16", "up to 10s, but is 1h"),
        ("data = \"\"\n", "1:8", "is empty"),
    ]);
    assert_eq!(errors_of("[http]\nmax_body = \"1 GiB\"\n"), "nothing");
    assert_eq!(errors_of("[log]\nsegment = \"64KiB\"\nretention_size = \"256KiB\"\n"), "nothing");
}

#[test]
fn times_out_of_range_are_reported() {
    assert_single_errors(&[
        ("[line]\ntick = \"0s\"\n", "2:8", "from 10ms to 1 day"),
        ("[line]\ntick = \"30000000000 years\"\n", "2:8", "to 1 day"),
        ("[line]\ncheckpoint = \"9 days\"\n", "2:14", "but is 9days"),
        ("[http.limits]\nhead_timeout = \"0s\"\n", "2:16", "from 100ms to 1 hour"),
        ("[http.limits]\nbody_timeout = \"2h\"\n", "2:16", "but is 2h"),
        ("[line]\ndeadline = \"0s\"\n", "2:12", "aborted"),
        ("[line]\ndeadline = \"-5s\"\n", "2:12", "a duration such as"),
        ("[store]\nretention = \"0 days\"\n", "2:13", "100 years"),
        ("[store]\nhourly_retention = \"1min\"\n", "2:20", "from 1 hour"),
        ("[store]\nfindings_retention = \"1000 years\"\n", "2:22", "100 years"),
        ("[store]\ndead_letters_retention = \"0s\"\n", "2:26", "90 days"),
        ("[access]\nrefresh_lifetime = \"1000 years\"\n", "2:20", "100 years"),
    ]);
}
