/*
 * Cgroup paths of real nodes, of readers inside a namespace, and of people who would like
 * to be taken for a pod.
 */
#include "source/identity/proc_cgroup.h"

#include "tree.h"

#define ID_A "65d752a38e1db784d521f48c3f1956f4f9a74ebb923377144f253f3aca9fa028"
#define ID_B "a069581483b00a498b3ba172612ffed06b3275a043bf3895c1b19e783e2793ee"
#define UID_A "51b64565-2b17-4d46-83ac-22e398f2f7fb"
#define UID_A_ESCAPED "51b64565_2b17_4d46_83ac_22e398f2f7fb"
#define UID_B "5a89bcaa-3509-4375-83e1-b9e7a5712123"
#define UID_STATIC "d76e26fba3bf2bfd215eb29011d55250"

static void check(const struct proc_cgroup *cgroup, enum cgroup_shape shape,
                  const char *uid, const char *container_id)
{
    char written[POD_UID_BYTES + 1];
    proc_cgroup_write_uid(cgroup, written);
    assert_int_equal(cgroup->shape, shape);
    assert_string_equal(written, uid);
    assert_str(cgroup->container_id, container_id);
}

/* Lines from public tests and issues of other tools, and from nodes of several kinds:
 * containerd, CRI-O, Docker and Podman, cgroupfs and systemd drivers, kind, k3s,
 * minikube, RKE, k3k. PATH: the source shows the path alone. */
static void lines_of_real_nodes(void **state)
{
    (void)state;
    enum { PATH, LINE };
    static const struct {
        int number;
        int kind;
        const char *text;
        enum cgroup_shape shape;
        const char *uid, *container_id;
    } rows[] = {
        {1, LINE,
         "0::/kubepods/pod51b64565-2b17-4d46-83ac-22e398f2f7fb/65d752a38e1db"
         "784d521f48c3f1956f4f9a74ebb923377144f253f3aca9fa028",
         CGROUP_POD, "51b64565-2b17-4d46-83ac-22e398f2f7fb",
         "65d752a38e1db784d521f48c3f1956f4f9a74ebb923377144f253f3aca9fa028"},
        {2, LINE,
         "0::/kubepods/burstable/pod5a89bcaa-3509-4375-83e1-b9e7a5712123/a06"
         "9581483b00a498b3ba172612ffed06b3275a043bf3895c1b19e783e2793ee",
         CGROUP_POD, "5a89bcaa-3509-4375-83e1-b9e7a5712123",
         "a069581483b00a498b3ba172612ffed06b3275a043bf3895c1b19e783e2793ee"},
        {3, LINE,
         "11:blkio:/kubepods/burstable/podf6adb0af-0855-4bab-b25b-c853f18d0c"
         "e2/35b97177dada20362ab90d90ac63cd54e8a41cf87bea34f270631b6da17f4a9"
         "3",
         CGROUP_POD, "f6adb0af-0855-4bab-b25b-c853f18d0ce2",
         "35b97177dada20362ab90d90ac63cd54e8a41cf87bea34f270631b6da17f4a93"},
        {4, LINE,
         "0::/kubepods.slice/kubepods-pod7922aa99_d4aa_4885_a953_82976860b23"
         "a.slice/crio-1c33afbc9e5aa6c69150d1af05254b562a4b17c313fc6153e3625"
         "cf456922bfe.scope",
         CGROUP_POD, "7922aa99-d4aa-4885-a953-82976860b23a",
         "1c33afbc9e5aa6c69150d1af05254b562a4b17c313fc6153e3625cf456922bfe"},
        {5, LINE,
         "1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-b"
         "urstable-podd0511cd2_29d2_4215_be0f_f77bc0609d99.slice/crio-f93ee4"
         "91b8ed2680d5a909eb098b14a9430173b57ca1c4efedd8768566d67e8e.scope",
         CGROUP_POD, "d0511cd2-29d2-4215-be0f-f77bc0609d99",
         "f93ee491b8ed2680d5a909eb098b14a9430173b57ca1c4efedd8768566d67e8e"},
        {6, LINE,
         "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-p"
         "oddbdd9718_6f63_40ef_987e_34776599d7d6.slice/crio-bdf2eeede4551b27"
         "acbbb05fb1b4f61925786681734bf128e68d39e17d115098.scope",
         CGROUP_POD, "dbdd9718-6f63-40ef-987e-34776599d7d6",
         "bdf2eeede4551b27acbbb05fb1b4f61925786681734bf128e68d39e17d115098"},
        {7, LINE,
         "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstabl"
         "e.slice/kubelet-kubepods-burstable-pod3cae2e45_052c_4b11_80d3_4d7b"
         "2d2d3464.slice/cri-containerd-2b180104511194aab36fd295d3e217439f3d"
         "db5bc88277f37b4952abee85c40e.scope",
         CGROUP_POD, "3cae2e45-052c-4b11-80d3-4d7b2d2d3464",
         "2b180104511194aab36fd295d3e217439f3ddb5bc88277f37b4952abee85c40e"},
        {8, LINE,
         "0::/system.slice/docker-fd9d0ea06257a9780827cbc7fd92e3812a54fca26d"
         "63e191b73610d5d48b9cbd.scope/kubelet.slice/kubelet-kubepods.slice/"
         "kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pode"
         "ab5a334_93fe_48a8_b139_9e8079c1f163.slice/cri-containerd-99f3a16ea"
         "25b7724cb56a4f0c0df1113ad9474fbf5545bead97fd5c7f61c13f4.scope",
         CGROUP_POD, "eab5a334-93fe-48a8-b139-9e8079c1f163",
         "99f3a16ea25b7724cb56a4f0c0df1113ad9474fbf5545bead97fd5c7f61c13f4"},
        {9, LINE,
         "13:memory:/system.slice/containerd.service/kubepods-besteffort-pod"
         "0043435f_1854_4327_b76b_730f681a781d.slice:cri-containerd:01fd96f7"
         "ad292b02a8317cde4ecb8c7ef3cc06ffdd113f13410e0837eb2b2a20",
         CGROUP_POD, "0043435f-1854-4327-b76b-730f681a781d",
         "01fd96f7ad292b02a8317cde4ecb8c7ef3cc06ffdd113f13410e0837eb2b2a20"},
        {10, PATH,
         "kubelet/kubepods/besteffort/podbdd4097d-6795-404e-9bd8-6a138338619"
         "8/c79788e0da15a6597263eb2b9c51d05dd1a9a1d08c53c1161dc8c45d2dac6b38",
         CGROUP_POD, "bdd4097d-6795-404e-9bd8-6a1383386198",
         "c79788e0da15a6597263eb2b9c51d05dd1a9a1d08c53c1161dc8c45d2dac6b38"},
        {11, LINE,
         "11:blkio:/kubepods.slice/kubepods-besteffort.slice/kubepods-bestef"
         "fort-pod481c0ae9_7d40_46dd_b6ca_ba27cb64f87e.slice/docker-28a5e572"
         "57f81fcd6d592647dde27e06b53944d58af4fa546ad77a12ce8b41c2.scope",
         CGROUP_POD, "481c0ae9-7d40-46dd-b6ca-ba27cb64f87e",
         "28a5e57257f81fcd6d592647dde27e06b53944d58af4fa546ad77a12ce8b41c2"},
        {12, LINE,
         "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-p"
         "od7fda01c4_0ece_403d_88b4_c371d66d132a.slice/cri-containerd-e58a24"
         "d4a722c99712cff74ef69d93311089584eb32617b3890e0dcb996133f1.scope",
         CGROUP_POD, "7fda01c4-0ece-403d-88b4-c371d66d132a",
         "e58a24d4a722c99712cff74ef69d93311089584eb32617b3890e0dcb996133f1"},
        {13, PATH,
         "/kubepods/besteffort/podd76e26fba3bf2bfd215eb29011d55250/40af7cdcb"
         "e507acad47a5a62025743ad3ddc6ab93b77b21363aa1c1d641047c9",
         CGROUP_POD, "d76e26fba3bf2bfd215eb29011d55250",
         "40af7cdcbe507acad47a5a62025743ad3ddc6ab93b77b21363aa1c1d641047c9"},
        {14, PATH,
         "/kubepods/pod068e8fa0-9213-11e7-a01f-507b9d4141fa/crio-81e5c299080"
         "3c383229c9680ce964738d5e566d97f5bd436ac34808d2ec75d5f",
         CGROUP_POD, "068e8fa0-9213-11e7-a01f-507b9d4141fa",
         "81e5c2990803c383229c9680ce964738d5e566d97f5bd436ac34808d2ec75d5f"},
        {15, LINE,
         "11:blkio:/system.slice/docker-c27755f0fa91e81ababc85ef05cb227227a4"
         "228da2e5cb2f4999299c89d4ac69.scope/kubelet.slice/kubelet-kubepods."
         "slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-"
         "podd8992f589d8dd12c4342376ccb459375.slice/cri-containerd-ecbcea5cd"
         "29afb25ba519715e827cda9e66cd0a914207f49ce0a292a6aa84d66.scope",
         CGROUP_POD, "d8992f589d8dd12c4342376ccb459375",
         "ecbcea5cd29afb25ba519715e827cda9e66cd0a914207f49ce0a292a6aa84d66"},
        {16, LINE,
         "8:memory:/kubepods/burstable/podb3a17320-c345-46a3-91a3-8ecea61a37"
         "52/ad4432c70a254c0c0cc7c70563c41297f653eaf9d00ce3864881124ddf31723"
         "d",
         CGROUP_POD, "b3a17320-c345-46a3-91a3-8ecea61a3752",
         "ad4432c70a254c0c0cc7c70563c41297f653eaf9d00ce3864881124ddf31723d"},
        {17, LINE,
         "11:name=systemd:/kubepods/besteffort/pod7e241a28-b013-481e-9e00-cb"
         "e6f00b5eaf/6b5583d73d20fa6da209e4d628a0c27395815f6613cb0a2c7e0e5b6"
         "4507b210c",
         CGROUP_POD, "7e241a28-b013-481e-9e00-cbe6f00b5eaf",
         "6b5583d73d20fa6da209e4d628a0c27395815f6613cb0a2c7e0e5b64507b210c"},
        {18, LINE,
         "10:cpuset:/docker/8ec3e6062e1825067fddaa64bfb839cb47579b4bfe49c4dd"
         "9d486ff81c35a479/kubepods/besteffort/pod7e241a28-b013-481e-9e00-cb"
         "e6f00b5eaf/6b5583d73d20fa6da209e4d628a0c27395815f6613cb0a2c7e0e5b6"
         "4507b210c",
         CGROUP_POD, "7e241a28-b013-481e-9e00-cbe6f00b5eaf",
         "6b5583d73d20fa6da209e4d628a0c27395815f6613cb0a2c7e0e5b64507b210c"},
        {19, LINE,
         "0::/kubepods/burstable/pod404bd273-57bc-4508-a386-e2b76d3c9cfe/3aa"
         "aa76f09e1de6bb75e84f9c15b737a2d590f69757953e3ec262bd5861dc15b",
         CGROUP_POD, "404bd273-57bc-4508-a386-e2b76d3c9cfe",
         "3aaaa76f09e1de6bb75e84f9c15b737a2d590f69757953e3ec262bd5861dc15b"},
        {20, LINE,
         "13:hugetlb:/system.slice/docker-2fa3e04b676df750842faf017052dd37ea"
         "0cc5bc7259a3487a1718c7fe100c94.scope",
         CGROUP_CONTAINER, "",
         "2fa3e04b676df750842faf017052dd37ea0cc5bc7259a3487a1718c7fe100c94"},
        {21, LINE,
         "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod"
         "-3f05ee050f82c0145f1d88c94269c39dff0f07dbf8bba20aafd54b3a75dcaecc."
         "scope/container",
         CGROUP_CONTAINER, "",
         "3f05ee050f82c0145f1d88c94269c39dff0f07dbf8bba20aafd54b3a75dcaecc"},
        {22, LINE,
         "0::/machine.slice/libpod-06dc5f321aad8726aa26559f16ec203bc099245bc"
         "44894b14a89fc02b022d1d5.scope/container",
         CGROUP_CONTAINER, "",
         "06dc5f321aad8726aa26559f16ec203bc099245bc44894b14a89fc02b022d1d5"},
        {23, LINE,
         "0::/system.slice/kepler.service/libpod-payload-8e363eb2287da4ccc9f"
         "52ffc5de11252ac5fe707e3ddb917a3c0bdf9bb64165b",
         CGROUP_CONTAINER, "",
         "8e363eb2287da4ccc9f52ffc5de11252ac5fe707e3ddb917a3c0bdf9bb64165b"},
        {24, LINE, "0::/system.slice/ssh.service", CGROUP_HOST, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_cgroup cgroup = {0};
        if (rows[i].kind == PATH)
            cgroup = cgroup_path_parse(str_from(rows[i].text));
        else
            assert_int_equal(proc_cgroup_parse(str_from(rows[i].text), &cgroup), 0);
        print_message("vector %d\n", rows[i].number);
        check(&cgroup, rows[i].shape, rows[i].uid, rows[i].container_id);
    }
}

/* What an agent in a cgroup namespace of its own sees. */
static void lines_from_a_private_namespace(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum cgroup_shape shape;
        const char *uid, *container_id;
    } rows[] = {
        {"/", CGROUP_HOST, "", ""},
        {"/init", CGROUP_HOST, "", ""},
        {"/../cri-containerd-" ID_A ".scope", CGROUP_SIBLING, "", ID_A},
        {"/../cri-containerd-" ID_A ".scope/init", CGROUP_SIBLING, "", ID_A},
        {"/../" ID_A, CGROUP_SIBLING, "", ID_A},
        {"/../../crio-" ID_A ".scope/container", CGROUP_SIBLING, "", ID_A},
        {"/../../" ID_A, CGROUP_CONTAINER, "", ID_A},
        {"/../crio-conmon-" ID_A ".scope", CGROUP_HOST, "", ""},
        {"/../../kubepods-burstable-pod" UID_A_ESCAPED ".slice/cri-containerd-" ID_A
         ".scope",
         CGROUP_POD, UID_A, ID_A},
        {"/../../../kubepods-pod" UID_A_ESCAPED ".slice/crio-" ID_A ".scope/container",
         CGROUP_POD, UID_A, ID_A},
        {"/../../../kubepods-burstable.slice/kubepods-burstable-pod" UID_A_ESCAPED
         ".slice/cri-containerd-" ID_A ".scope",
         CGROUP_POD, UID_A, ID_A},
        {"/../../pod" UID_A "/" ID_A, CGROUP_POD, UID_A, ID_A},
        {"/../../../pod" UID_STATIC "/" ID_A, CGROUP_POD, UID_STATIC, ID_A},
        {"/../../../besteffort/pod" UID_A "/" ID_A, CGROUP_POD, UID_A, ID_A},
        {"/../../../../system.slice/ssh.service", CGROUP_HOST, "", ""},
        {"/../../../../init.scope", CGROUP_HOST, "", ""},
        {"/../../../..", CGROUP_HOST, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_cgroup cgroup = cgroup_path_parse(str_from(rows[i].path));
        check(&cgroup, rows[i].shape, rows[i].uid, rows[i].container_id);
        assert_int_equal(cgroup.is_climbing,
                         str_starts(str_from(rows[i].path), STR("/..")));
    }
}

static void nesting_and_forgery(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum cgroup_shape shape;
        const char *uid, *container_id;
        bool is_distrusted;
    } rows[] = {
        /* what a container makes below its own cgroup does not count */
        {"/kubepods/pod" UID_A "/" ID_A "/docker/" ID_B, CGROUP_POD, UID_A, ID_A, false},
        {"/kubepods/pod" UID_A "/" ID_A "/kubepods/pod" UID_B "/" ID_B, CGROUP_POD, UID_A,
         ID_A, false},
        {"/kubepods/pod" UID_A "/x/" ID_B, CGROUP_POD, UID_A, "", false},
        {"/kubepods/pod" UID_A, CGROUP_POD, UID_A, "", false},
        {"/kubepods/pod" UID_A "/crio-conmon-" ID_A, CGROUP_POD, UID_A, "", false},
        {"/kubepods/pod" UID_A "/kata_" ID_A, CGROUP_POD, UID_A, "", false},
        {"/kubepods/pod" UID_A "/" ID_A " (deleted)", CGROUP_POD, UID_A, ID_A, false},
        {"//kubepods//pod" UID_A "//" ID_A "/", CGROUP_POD, UID_A, "", false},
        /* users and other containers that own their subtree */
        {"/user.slice/user-1000.slice/user@1000.service/pod" UID_A "/" ID_A,
         CGROUP_CONTAINER, "", ID_A, true},
        {"/user.slice/kubepods/pod" UID_A, CGROUP_HOST, "", "", true},
        {"/../../../../user.slice/user-1.slice/kubepods-pod" UID_A_ESCAPED ".slice/x",
         CGROUP_HOST, "", "", true},
        {"/x/user@1000.service/pod" UID_A "/" ID_A, CGROUP_CONTAINER, "", ID_A, true},
        {"/machine.slice/libpod-" ID_B ".scope/kubepods/pod" UID_A "/" ID_A,
         CGROUP_CONTAINER, "", ID_B, true},
        {"/lxc.payload.web/kubepods/pod" UID_A "/" ID_A, CGROUP_CONTAINER, "", ID_A,
         true},
        /* not a UID, not a pod */
        {"/podruntime/kubelet", CGROUP_HOST, "", "", false},
        {"/pod" UID_A_ESCAPED "/" ID_A, CGROUP_CONTAINER, "", ID_A, false},
        {"/pod51b64565-2b17-4d46-83ac-22e398f2f7fX/y", CGROUP_HOST, "", "", false},
        {"/pod51b645652b174d4683ac22e398f2f7f/y", CGROUP_HOST, "", "", false},
        {"/system.slice/foo-pod.slice/x", CGROUP_HOST, "", "", false},
        {"/kubepods/pod/x", CGROUP_HOST, "", "", false},
        {"/kubepods", CGROUP_HOST, "", "", false},
        /* a UID that a static manifest chose, below kubepods only */
        {"/kubepods/besteffort/podmy_own.uid/" ID_A, CGROUP_POD, "my_own.uid", ID_A,
         false},
        {"/kubepods.slice/kubepods-podmy_uid.slice/crio-" ID_A ".scope", CGROUP_POD,
         "my_uid", ID_A, false},
        {"/other/podmy_own.uid/" ID_A, CGROUP_CONTAINER, "", ID_A, false},
        /* containers of no pod */
        {"/docker/" ID_A, CGROUP_CONTAINER, "", ID_A, false},
        {"/docker/buildkit/abc", CGROUP_HOST, "", "", false},
        {"/system.slice/nerdctl-" ID_A ".scope", CGROUP_CONTAINER, "", ID_A, false},
        {"/slurm/uid_1000/job_7/step_0/task_0", CGROUP_HOST, "", "", false},
        {"", CGROUP_HOST, "", "", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_cgroup cgroup = cgroup_path_parse(str_from(rows[i].path));
        print_message("%s\n", rows[i].path);
        check(&cgroup, rows[i].shape, rows[i].uid, rows[i].container_id);
        assert_int_equal(cgroup.is_distrusted, rows[i].is_distrusted);
    }
}

static void uid_at_the_bound(void **state)
{
    (void)state;
    char path[600] = "/kubepods/pod";
    size_t start = strlen(path);
    for (size_t n = POD_UID_BYTES - 1; n <= POD_UID_BYTES + 1; n++) {
        memset(path + start, 'u', n);
        struct proc_cgroup cgroup = cgroup_path_parse((struct str){path, start + n});
        bool fits = n <= POD_UID_BYTES;
        assert_int_equal(cgroup.shape, fits ? CGROUP_POD : CGROUP_HOST);
        assert_int_equal(cgroup.pod_uid.n, fits ? n : 0);
    }
}

static void whole_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        enum cgroup_shape shape;
        const char *uid, *container_id;
    } rows[] = {
        {"", 0, CGROUP_NOTHING, "", ""},
        {"\n", -EBADMSG, CGROUP_NOTHING, "", ""},
        {"garbage", -EBADMSG, CGROUP_NOTHING, "", ""},
        {"0:", -EBADMSG, CGROUP_NOTHING, "", ""},
        {"0:x", -EBADMSG, CGROUP_NOTHING, "", ""},
        {"x::/kubepods/pod" UID_A "\n", -EBADMSG, CGROUP_NOTHING, "", ""},
        {"garbage\n0::/\n", 0, CGROUP_HOST, "", ""},
        /* hybrid: any line may be the one that tells, the first pod counts */
        {"0::/\n4:memory:/kubepods/pod" UID_A "/" ID_A "\n1:cpu:/kubepods/pod" UID_B
         "/" ID_B "\n",
         0, CGROUP_POD, UID_A, ID_A},
        {"11:name=systemd:/docker/" ID_B "\n4:cpu,cpuacct:/kubepods/pod" UID_A "/" ID_A
         "\n0::/system.slice/containerd.service\n",
         0, CGROUP_POD, UID_A, ID_A},
        {"5:pids:/docker/" ID_A "\n4:cpu:/docker/" ID_B "\n0::/\n", 0, CGROUP_CONTAINER,
         "", ID_A},
        {"9:pids:/../" ID_A "\n0::/../" ID_A "\n", 0, CGROUP_SIBLING, "", ID_A},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_cgroup cgroup = {0};
        assert_int_equal(proc_cgroup_parse(str_from(rows[i].text), &cgroup), rows[i].rc);
        check(&cgroup, rows[i].shape, rows[i].uid, rows[i].container_id);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A file of random pieces of real ones, with a byte changed here and there. */
static size_t random_file(uint64_t *seed, char *out, size_t capacity)
{
    static const char *const pieces[] = {
        "0::/",       "11:blkio:",   "/",         "..",         "kubepods",
        ".slice",     ".scope",      "pod",       "-pod",       UID_A,
        UID_STATIC,   UID_A_ESCAPED, ID_A,        "crio-",      "docker-",
        "user.slice", " (deleted)",  ":",         "\n",         "libpod-",
        "-",          ".slice:cri:", "kubepods-", "besteffort", "user@1.service",
    };
    size_t n = 0;
    for (uint64_t count = next_random(seed) % 24; count > 0; count--) {
        const char *piece = pieces[next_random(seed) % ARRAY_LENGTH(pieces)];
        for (; *piece && n < capacity; piece++)
            out[n++] = next_random(seed) % 97 ? *piece : (char)next_random(seed);
    }
    return n;
}

static void assert_inside(struct str part, const char *text, size_t n)
{
    if (part.n)
        assert_true(part.p >= text && part.p + part.n <= text + n);
}

static void results_lie_in_the_input(void **state)
{
    (void)state;
    uint64_t seed = 20260101;
    for (int i = 0; i < 200000; i++) {
        char text[2048], uid[POD_UID_BYTES + 1];
        size_t n = random_file(&seed, text, sizeof text);
        struct proc_cgroup cgroup = {0};
        if (proc_cgroup_parse((struct str){text, n}, &cgroup) < 0)
            continue;
        assert_inside(cgroup.pod_uid, text, n);
        assert_inside(cgroup.container_id, text, n);
        assert_true(cgroup.pod_uid.n <= POD_UID_BYTES);
        assert_true(cgroup.container_id.n == 0 ||
                    str_is_hex(cgroup.container_id, CONTAINER_ID_BYTES));
        assert_true((cgroup.shape == CGROUP_POD) == (cgroup.pod_uid.n > 0));
        assert_false(cgroup.shape == CGROUP_POD && cgroup.is_distrusted);
        proc_cgroup_write_uid(&cgroup, uid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_real_nodes),
        cmocka_unit_test(lines_from_a_private_namespace),
        cmocka_unit_test(nesting_and_forgery),
        cmocka_unit_test(uid_at_the_bound),
        cmocka_unit_test(whole_files),
        cmocka_unit_test(results_lie_in_the_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
