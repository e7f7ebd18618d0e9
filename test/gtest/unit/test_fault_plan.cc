/*
 * Fault plans as text: what is understood, and what the one line says about
 * what is not.
 */
#include "common/temp.h"

#include <gtest/gtest.h>

extern "C" {
#include <softefa/config/fault_plan.h>
}

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>

static softefa_fault_plan_t parse(const std::string &text)
{
    softefa_fault_plan_t plan;
    char error[200] = "";

    EXPECT_EQ(0, softefa_fault_plan_parse(text.c_str(), &plan, error,
                                          sizeof(error)))
            << error;
    return plan;
}

static std::string complaint(const std::string &text)
{
    softefa_fault_plan_t plan;
    char error[200] = "nothing";

    EXPECT_NE(0, softefa_fault_plan_parse(text.c_str(), &plan, error,
                                          sizeof(error)))
            << text;
    return error;
}

TEST(fault_plan, rules)
{
    softefa_fault_plan_t plan = parse(
            "status code=13 p=0.01 op=send; rnr burst=50 every=1000;"
            " delay us=200 dist=exp p=0.1 # slow; kill at=fetch\n\n"
            "duplicate p=0.01;;corrupt what=imm p=0.001\r\n"
            "corrupt what=payload;unreachable peer=1 after=100;"
            "unresponsive peer=1 after=100 for=50ms;pause after=500 for=2s\n"
            "fail cmd=create_qp errno=ENOMEM every=3; fatal after=1000 "
            "return=50us event=n; qp_error after=500; kill at=locked-rq "
            "after=0x10;"
            "reorder depth=16; return dev=1; status code=1 p=1;"
            "lose_event every=2; lose_interrupt vector=3 dev=1");

    ASSERT_EQ(18u, plan.num_rules);
    EXPECT_EQ(SOFTEFA_FAULT_STATUS, plan.rule[0].action);
    EXPECT_EQ(13u, plan.rule[0].code);
    EXPECT_EQ(SOFTEFA_FAULT_SURE / 100, plan.rule[0].chance);
    EXPECT_EQ(1u, plan.rule[0].ops);
    EXPECT_EQ(SOFTEFA_FAULT_UNSET, plan.rule[0].count);
    EXPECT_EQ(50u, plan.rule[1].burst);
    EXPECT_EQ(1000u, plan.rule[1].every);
    EXPECT_EQ(SOFTEFA_FAULT_SURE, plan.rule[1].chance);
    EXPECT_EQ(7u, plan.rule[1].ops);
    EXPECT_EQ(200000u, plan.rule[2].delay);
    EXPECT_EQ(SOFTEFA_DIST_EXP, plan.rule[2].dist);
    EXPECT_EQ(SOFTEFA_CORRUPT_IMM, plan.rule[4].what);
    EXPECT_EQ(SOFTEFA_CORRUPT_PAYLOAD, plan.rule[5].what);
    EXPECT_EQ(1, plan.rule[6].peer);
    EXPECT_EQ(SOFTEFA_FAULT_ANY, plan.rule[6].dev);
    EXPECT_EQ(1u, plan.rule[6].count);
    EXPECT_EQ(50000000u, plan.rule[7].duration);
    EXPECT_EQ(2000000000u, plan.rule[8].duration);
    EXPECT_EQ(ENOMEM, plan.rule[9].error);
    EXPECT_EQ(SOFTEFA_CMD_CREATE_QP, plan.rule[9].cmd);
    EXPECT_EQ(50000u, plan.rule[10].back);
    EXPECT_EQ(1000u, plan.rule[10].after);
    EXPECT_EQ(1, plan.rule[10].silent);
    EXPECT_EQ(SOFTEFA_POINT_LOCKED_RQ, plan.rule[12].point);
    EXPECT_EQ(16u, plan.rule[12].after);
    EXPECT_EQ(16u, plan.rule[13].depth);
    EXPECT_EQ(SOFTEFA_FAULT_SURE, plan.rule[15].chance);
    EXPECT_EQ(SOFTEFA_FAULT_ANY, plan.rule[16].vector);
    EXPECT_EQ(3, plan.rule[17].vector);
    EXPECT_EQ(0u, parse(" ; # nothing").num_rules);
}

TEST(fault_plan, complaints)
{
    EXPECT_EQ("rule 2: no action is called \"statsu\"",
              complaint("pause for=1ms;statsu code=1"));
    EXPECT_EQ("rule 1 (status): code= is missing", complaint("status p=1"));
    EXPECT_EQ("rule 1 (status): \"often\" is not key=value",
              complaint("status code=1 often"));
    EXPECT_EQ("rule 1 (status): status has no key \"depth\"",
              complaint("status code=1 depth=2"));
    EXPECT_EQ("rule 1 (kill): kill has no key \"dev\"",
              complaint("kill at=fetch dev=1"));
    EXPECT_EQ("rule 1 (fatal): event=no is not y or n",
              complaint("fatal event=no"));
    EXPECT_EQ("rule 1 (status): \"code\" is there twice",
              complaint("status code=1 code=2"));
    EXPECT_EQ("rule 3 (pause): for=20 is not a time with its unit, as in 20ms",
              complaint("pause for=1s;\n\n#\nrnr;pause for=20"));
    for (const char *p : {"1.1", "", ".", "-1", "1e3", "0.5.5", "half"}) {
        EXPECT_EQ(std::string("rule 1 (rnr): p=") + p +
                          " is not a probability from 0 to 1",
                  complaint(std::string("rnr p=") + p));
    }
    EXPECT_EQ("rule 1 (status): code=16 is not a completion status, 1 to 15",
              complaint("status code=16"));
    EXPECT_EQ("rule 1 (corrupt): what=all is not imm or payload",
              complaint("corrupt what=all"));
    EXPECT_EQ("rule 1 (fail): errno=ESOMETHING is not a name as ENOMEM",
              complaint("fail cmd=open errno=ESOMETHING"));
    EXPECT_EQ("rule 1 (lose_event): lose_event has no key \"vector\"",
              complaint("lose_event vector=1"));
    EXPECT_EQ("rule 1 (rnr): every=0 is not a number from 1",
              complaint("rnr every=0"));

    std::string many;
    for (unsigned i = 0; i <= SOFTEFA_MAX_RULES; ++i) {
        many += "rnr;";
    }
    EXPECT_EQ("more than 32 rules", complaint(many));
}

TEST(fault_plan, file)
{
    temp_dir dir;
    std::string path = dir.path() + "/plan";

    std::ofstream(path) << "# a plan\nrnr burst=3\n  pause for=1ms  # end\n";
    EXPECT_EQ(2u, parse("@" + path).num_rules);
    unlink(path.c_str());
    EXPECT_EQ("cannot read " + path + ": No such file or directory",
              complaint("@" + path));
}
