//! Messages for syntax and type errors.

use crate::errors_of;

#[test]
fn syntax_and_type_errors_say_what_to_write_instead() {
    let mistakes = [
        "[http\nlisten = \"127.0.0.1:8080\"\n",
        "[[site]\nname = \"a\"\n",
        "[mqtt.broker]\nenabled = \"yes\"\n",
        "[mqtt.broker]\nenabled = yes\n",
        "[mqtt.broker]\nenabled = True\n",
        "partitions = -1\n",
        "partitions = 100000\n",
        "partitions = 2000\n",
        "partitions = \"two\"\n",
        "partitions = 1.5\n",
        "[detect]\nwarmup_windows = -3\n",
        "[detect]\nwarmup_windows = \"many\"\n",
        "[detect]\nthreshold = \"high\"\n",
        "[[mqtt.client]]\nurl = \"mqtt://a\"\ntopics = [\"a\"]\nqos = 300\n",
        "[[mqtt.client]]\nurl = \"mqtt://a\"\ntopics = \"a\"\n",
        "[http]\nlisten = 8080\n",
        "[line]\ntick = 15\n",
        "[line]\ntick = \"15\"\n",
        "[http]\nmax_body = 1.5\n",
        "data = data\n",
        "data = \"data\n",
        "data = 'data\n",
        "data = \"C:\\data\"\n",
        "data =\n",
        "data\n",
        "data: \"data\"\n",
        "data = \"a\"\ndata = \"b\"\n",
        "[http]\n[http]\n",
        "[site]\nname = \"a\"\n",
        "[[http]]\nlisten = \"127.0.0.1:8080\"\n",
        "http = \"127.0.0.1:8080\"\n",
        "[mqtt.broker]\ningest = [\"a\", \"b\"\n",
        "[http]\ntls = { cert = \"a\", key = \"b\"\n",
        "[http]\ntls = { cert = \"a\" }\n",
        "data = \"data\" \"more\"\n",
        "[detect]\nthreshold = 0,9\n",
        "[detect]\nthreshold = .9\n",
        "[access]\nmode = true\n",
        "[[technician]]\nname = \"Ada\"\nskills = [1]\n",
    ];
    let errors: Vec<String> = mistakes.iter().map(|text| errors_of(text)).collect();
    insta::assert_snapshot!(errors.concat());
}
